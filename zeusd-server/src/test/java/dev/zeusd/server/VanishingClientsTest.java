package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Metronome;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.Usage;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Clients that stop reading, that go away, and a server that goes away under them. */
class VanishingClientsTest {
  private static final String STREAM = "/gpu/stream_power";

  private final FakeNvml nvml = TestServer.freshNvml();

  @Test
  void aClientThatDoesNotReadSlowsNobodyAndIsDropped() throws Exception {
    nvml.deviceCount(12);
    for (int id = 0; id < 12; id++) {
      nvml.gpu(id).countingPower(100_000);
    }
    try (TestServer unix = TestServer.start(Transport.UDS, 1000);
        TestServer tcp = unix.alsoAt(Transport.TCP);
        RawConnection stuckUnix = RawConnection.openWithSmallBuffer(unix.address());
        RawConnection stuckTcp = RawConnection.openWithSmallBuffer(tcp.address());
        EventStream healthy = unix.stream(STREAM + "?gpu_ids=11");
        RawConnection requests = tcp.connect();
        Metronome metronome = new Metronome()) {
      stuckUnix.send(RawConnection.request("GET", STREAM + "?gpu_ids=0,1"));
      stuckTcp.send(RawConnection.request("GET", STREAM + "?gpu_ids=2,3,4,5,6,7,8,9,10"));
      long start = System.nanoTime();
      long heapBefore = 0;
      long unixDroppedMs = 0;
      long tcpDroppedMs = 0;
      int events = 0;
      while (unixDroppedMs == 0 || tcpDroppedMs == 0) {
        long second = metronome.beats();
        long healthyReads = nvml.gpu(11).powerReads();
        long unixReads = nvml.gpu(0).powerReads();
        long tcpReads = nvml.gpu(4).powerReads();
        // A tick reads all that somebody wants: many have to leave the others out.
        while (metronome.beats() < second + 1000
            || nvml.gpu(11).powerReads() < healthyReads + 100) {
          healthy.nextSample();
          events++;
        }
        long requestStart = metronome.beats();
        assertEquals(200, requests.get("/time").status());
        assertTrue(metronome.beats() - requestStart < 500, "a slow answer");
        long elapsedMs = (System.nanoTime() - start) / 1_000_000;
        unixDroppedMs = dropped(unixDroppedMs, unixReads == nvml.gpu(0).powerReads(), elapsedMs);
        tcpDroppedMs = dropped(tcpDroppedMs, tcpReads == nvml.gpu(4).powerReads(), elapsedMs);
        heapBefore = heapBefore == 0 && metronome.beats() > 4000 ? usedHeap() : heapBefore;
        if (unixDroppedMs == 0) {
          assertTrue(metronome.beats() < 16_000, "the client at the Unix socket is still served");
        }
        assertTrue(metronome.beats() < 40_000, "the stuck clients are still served");
      }
      System.out.println(
          "stuck clients dropped after: unix "
              + unixDroppedMs
              + " ms, tcp "
              + tcpDroppedMs
              + " ms");
      // The buffers of the sockets have to fill first; a second more is how finely this looks.
      assertTrue(unixDroppedMs >= 10_000, unixDroppedMs + " ms");
      assertTrue(tcpDroppedMs >= 10_000, tcpDroppedMs + " ms");
      double hz = events / (metronome.beats() / 1e3);
      assertTrue(hz > 500, () -> "another client got only " + hz + " events a second of 1000");
      long grown = usedHeap() - heapBefore;
      assertTrue(grown < 8_000_000, () -> "heap grew by " + grown);
      stuckUnix.drain(RawConnection.PATIENCE);
      stuckTcp.drain(RawConnection.PATIENCE);
    }
  }

  private static long dropped(long droppedMs, boolean quiet, long elapsedMs) {
    return droppedMs == 0 && quiet ? elapsedMs : droppedMs;
  }

  private static long usedHeap() {
    System.gc();
    return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
  }

  @ParameterizedTest
  @EnumSource
  void comingAndGoingLeavesNothingBehind(Transport transport) throws Exception {
    try (TestServer server = TestServer.start(transport)) {
      comeAndGo(server, 100);
      Await.rest();
      long files = Usage.openFiles();
      long threads = Usage.threads().size();
      comeAndGo(server, 300);
      Await.rest();
      Await.until("files are closed, but for " + files, () -> Usage.openFiles() <= files + 5);
      Await.until("threads end, but for " + threads, () -> Usage.threads().size() <= threads + 5);
    }
  }

  private static void comeAndGo(TestServer server, int times) throws IOException {
    for (int i = 0; i < times; i++) {
      RawConnection connection = server.connect();
      switch (i % 6) {
        case 0 -> connection.get("/time");
        case 1 -> connection.get("/gpu/get_power?gpu_ids=x");
        case 2 -> connection.send("GET /time HTTP/1.1\r\nHost: ");
        case 3 -> connection.stream(STREAM).nextSample();
        case 4 -> connection.send(RawConnection.request("GET", STREAM));
        default -> connection.hasBytes(Duration.ZERO);
      }
      connection.close();
    }
  }

  @ParameterizedTest
  @EnumSource
  void stopsWithoutWaitingForStuckClientsAndEndsStreamsProperly(Transport transport)
      throws Exception {
    nvml.gpu(3).countingPower(0);
    try (TestServer server = TestServer.start(transport, 1000);
        RawConnection idle = server.connect();
        RawConnection halfRequest = server.connect().send("GET /ti");
        RawConnection stuck = RawConnection.openWithSmallBuffer(server.address())) {
      idle.get("/time");
      stuck.send(RawConnection.request("GET", STREAM + "?gpu_ids=3"));
      List<EventStream> steady = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        EventStream stream = server.stream(STREAM + "?gpu_ids=0,1");
        stream.nextSample();
        steady.add(stream);
      }
      // On a Unix socket the stuck one blocks its writer by then.
      long reads = nvml.gpu(3).powerReads();
      Await.until("many events", () -> nvml.gpu(3).powerReads() >= reads + 2500);
      try (Metronome metronome = new Metronome()) {
        server.stopServer();
        long tookMs = metronome.beats();
        // It takes some 100 ms; a stuck stream has 10 s to take something, and an answer 15.
        assertTrue(tookMs < 8000, () -> "stopping took " + tookMs + " ms");
      }
      for (EventStream stream : steady) {
        stream.assertEndsProperly();
        stream.close();
      }
      assertEquals(0, idle.drain(RawConnection.PATIENCE));
      halfRequest.drain(RawConnection.PATIENCE);
      stuck.drain(RawConnection.PATIENCE);
      assertFalse(canConnect(server));
    }
  }

  private static boolean canConnect(TestServer server) {
    try (RawConnection connection = server.connect()) {
      return connection.hasBytes(Duration.ZERO);
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void endsBusyStreamsProperly() throws Exception {
    nvml.gpu(0).countingPower(0);
    try (TestServer server = TestServer.start(Transport.UDS, 500)) {
      List<EventStream> busy = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        busy.add(server.stream(STREAM + "?gpu_ids=0"));
        busy.getLast().nextSample();
      }
      server.stopServer();
      for (EventStream stream : busy) {
        stream.assertEndsProperly();
        stream.close();
      }
    }
  }
}
