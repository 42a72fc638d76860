package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Metronome;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Hardware is read only for those who want it, and as often for one of them as for fifty. */
class DemandTest {
  private static final String STREAM = "/gpu/stream_power";

  private final FakeNvml nvml = TestServer.freshNvml();

  /** For limits of time, which a machine that stands still does not pass. */
  private final Metronome metronome = new Metronome();

  @AfterEach
  void closeMetronome() {
    metronome.close();
  }

  @Test
  void anIdleServerReadsNothing() throws Exception {
    try (TestServer server = TestServer.start(Transport.UDS);
        RawConnection idle = server.connect()) {
      server.get("/time");
      long calls = nvml.totalCalls();
      for (int i = 0; i < 10; i++) {
        server.get("/time");
        server.get("/discover");
        server.get("/nowhere");
      }
      Await.rest();
      assertEquals(calls, nvml.totalCalls());
      idle.assertIdle();
    }
  }

  @ParameterizedTest
  @CsvSource({"UDS, 1", "TCP, 50"})
  void allClientsShareOneReadingPerPeriod(Transport transport, int clients) throws Exception {
    nvml.gpu(1).countingPower(0);
    try (TestServer server = TestServer.start(transport)) {
      long othersBefore = nvml.gpu(0).calls() + nvml.gpu(2).calls() + nvml.gpu(3).calls();
      List<EventStream> streams = new ArrayList<>();
      try {
        for (int i = 0; i < clients; i++) {
          String format = i % 2 == 0 ? "sample" : "snapshot";
          streams.add(server.stream(STREAM + "?gpu_ids=1&format=" + format));
        }
        for (EventStream stream : streams) {
          stream.nextData();
        }
        long start = System.nanoTime();
        long before = nvml.gpu(1).calls();
        Await.until("2 s of reads", () -> nvml.gpu(1).calls() - before >= 40);
        long reads = nvml.gpu(1).calls() - before;
        double seconds = (System.nanoTime() - start) / 1e9;
        // A busy machine only makes them fewer.
        assertTrue(reads <= 20 * seconds + 2, () -> reads + " reads in " + seconds + " s");
        for (EventStream stream : streams) {
          stream.nextData();
        }
        assertEquals(
            othersBefore,
            nvml.gpu(0).calls() + nvml.gpu(2).calls() + nvml.gpu(3).calls(),
            "devices that nobody asked for");
      } finally {
        for (EventStream stream : streams) {
          stream.close();
        }
      }
      assertReadingStops();
    }
  }

  @Test
  void readingStopsWithTheLastClientOfADevice() throws Exception {
    try (TestServer server = TestServer.start(Transport.TCP);
        EventStream both = server.stream(STREAM + "?gpu_ids=0,1")) {
      try (EventStream all = server.stream(STREAM)) {
        all.nextSample();
      }
      Await.still(
          "GPU 2 and 3 are left alone, and GPU 0 is not",
          () -> nvml.gpu(2).calls() + nvml.gpu(3).calls(),
          10,
          () -> nvml.gpu(0).calls());
      both.nextSample();
    }
  }

  @ParameterizedTest
  @EnumSource
  void readingStopsAfterAClientIsKilled(Transport transport) throws Exception {
    // Power never changes, so there is no event whose write could fail.
    try (TestServer server = TestServer.start(transport)) {
      Process client = startStreamingClient(server.address());
      try {
        assertEquals('s', client.getInputStream().read(), "the client streams");
        long calls = nvml.totalCalls();
        Await.until("the client streams", () -> nvml.totalCalls() > calls);
      } finally {
        client.destroyForcibly();
      }
      assertEquals(128 + 9, client.waitFor(), "SIGKILL");
      assertReadingStops();
    }
  }

  /** Within two seconds from now, whatever the reason. */
  private void assertReadingStops() throws InterruptedException {
    try (Metronome metronome = new Metronome()) {
      Await.rest();
      long beats = metronome.beats();
      assertTrue(beats <= 2000, () -> "hardware was read for " + beats + " ms");
    }
  }

  private static Process startStreamingClient(SocketAddress address) throws IOException {
    String where =
        switch (address) {
          case UnixDomainSocketAddress unix -> unix.getPath().toString();
          case InetSocketAddress tcp -> String.valueOf(tcp.getPort());
          default -> throw new AssertionError(address);
        };
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            StreamingClient.class.getName(),
            where)
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  /** A client in a process of its own; says "s" when it has got an event. */
  static final class StreamingClient {
    private StreamingClient() {}

    public static void main(String[] args) throws IOException {
      SocketAddress address =
          args[0].startsWith("/")
              ? UnixDomainSocketAddress.of(args[0])
              : new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0]));
      try (EventStream stream = RawConnection.open(address).stream(STREAM)) {
        stream.nextSample();
        System.out.write('s');
        System.out.flush();
        while (!stream.next(RawConnection.PATIENCE).isEmpty()) {
          // Until it is killed.
        }
      }
    }
  }

  @Test
  void aSlowDeviceHoldsUpNothingButItself() throws Exception {
    nvml.gpu(0).countingPower(0);
    nvml.gpu(1).countingPower(0);
    try (TestServer server = TestServer.start(Transport.TCP);
        RawConnection connection = server.connect();
        EventStream fast = server.stream(STREAM + "?gpu_ids=0,1")) {
      fast.nextSample();
      nvml.gpu(1).delay(Call.GET_FIELD_VALUES, Duration.ofSeconds(1));
      nvml.gpu(1).delay(Call.GET_POWER_LIMIT, Duration.ofSeconds(1));
      Await.until("GPU 1 is slow", () -> nvml.gpu(1).inFlight() == 1);
      double hz = 0;
      // A busy machine delays a tick now and then, but not in every one of these seconds.
      for (int second = 0; second < 20 && hz < 16; second++) {
        hz = readsPerSecondAmidRequests(connection);
      }
      assertTrue(hz >= 16, "the fast device's rate is " + hz);
      int fastEvents = 0;
      int slowEvents = 0;
      for (int i = 0; i < 25; i++) {
        if (fast.nextSample().gpuId() == 0) {
          fastEvents++;
        } else {
          slowEvents++;
        }
      }
      assertTrue(fastEvents > 3 * slowEvents, fastEvents + " fast, " + slowEvents + " slow events");
    }
  }

  /**
   * How often the sampler reads GPU 0 while it is asked for, which has to be quick; of seconds in
   * which this machine was awake.
   */
  private double readsPerSecondAmidRequests(RawConnection connection) throws Exception {
    long start = System.nanoTime();
    long startBeats = metronome.beats();
    long reads = nvml.gpu(0).powerReads();
    long[] tookMs = new long[60];
    for (int i = 0; i < tookMs.length; i += 3) {
      tookMs[i] = timedGet(connection, "/time");
      tookMs[i + 1] = timedGet(connection, "/gpu/get_power_limit?gpu_ids=0");
      tookMs[i + 2] = timedGet(connection, "/gpu/get_power?gpu_ids=0");
      long ticks = nvml.gpu(0).powerReads();
      Await.until("the next tick", () -> nvml.gpu(0).powerReads() > ticks);
    }
    assertMostAreFast(tookMs);
    // The requests read the device as well, 20 times.
    long ownReads = nvml.gpu(0).powerReads() - reads - 20;
    double seconds = (System.nanoTime() - start) / 1e9;
    assertTrue(ownReads <= 24 * seconds, () -> ownReads + " reads in " + seconds + " s");
    return ownReads / ((metronome.beats() - startBeats) / 1e3);
  }

  @Test
  void slowDevicesDoNotDelayTheTime() throws Exception {
    nvml.deviceCount(8);
    nvml.delay(Call.GET_FIELD_VALUES, Duration.ofMillis(300));
    try (TestServer server = TestServer.start(Transport.UDS);
        EventStream samples = server.stream(STREAM);
        RawConnection waiting = server.connect();
        RawConnection connection = server.connect()) {
      List<Long> tookMs = new ArrayList<>();
      long start = metronome.beats();
      waiting.send(RawConnection.request("GET", "/gpu/get_power"));
      do {
        tookMs.add(timedGet(connection, "/time"));
      } while (!waiting.hasBytes(Duration.ofMillis(5)));
      assertMostAreFast(tookMs.stream().mapToLong(Long::longValue).toArray());
      assertEquals(200, waiting.readResponse().status());
      long allMs = metronome.beats() - start;
      assertTrue(allMs < 8 * 300, () -> "devices one after the other? " + allMs + " ms");
      samples.nextSample();
    }
    nvml.delay(Call.GET_FIELD_VALUES, Duration.ZERO);
  }

  private long timedGet(RawConnection connection, String target) throws IOException {
    long start = metronome.beats();
    assertEquals(200, connection.get(target).status());
    return metronome.beats() - start;
  }

  private static void assertMostAreFast(long[] tookMs) {
    long[] sorted = tookMs.clone();
    Arrays.sort(sorted);
    // One that had waited for the device would have taken 300 ms at least.
    assertTrue(sorted[sorted.length / 2] < 100, () -> "half: " + Arrays.toString(sorted));
    assertTrue(sorted[sorted.length * 9 / 10] < 300, () -> "most: " + Arrays.toString(sorted));
  }
}
