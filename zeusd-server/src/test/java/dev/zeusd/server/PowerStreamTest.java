package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.EventStream.Sample;
import dev.zeusd.server.raw.EventStream.Snapshot;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What streams tell, and when. */
class PowerStreamTest {
  private static final String SAMPLES = "/gpu/stream_power?format=sample";
  private static final String SNAPSHOTS = "/gpu/stream_power?format=snapshot";

  /** A heartbeat comes after a second of silence; the rest is for a busy machine. */
  private static final Duration HEARTBEAT = Duration.ofMillis(1700);

  private final FakeNvml nvml = TestServer.freshNvml();

  @ParameterizedTest
  @EnumSource
  void sendsExactlyTheseBytes(Transport transport) throws IOException {
    try (TestServer server = TestServer.start(transport);
        RawConnection connection = server.connect()) {
      connection.send(RawConnection.request("GET", "/gpu/stream_power?gpu_ids=2"));
      assertEquals("text/event-stream", connection.readHead().header("Content-Type"));
      String chunk = new String(connection.readChunk(RawConnection.PATIENCE), "US-ASCII");
      assertTrue(
          chunk.matches("data: \\{\"timestamp_ms\":\\d{13},\"gpu_id\":2,\"power_mw\":95000}\n\n"),
          chunk);
      String heartbeat = new String(connection.readChunk(HEARTBEAT), "US-ASCII");
      assertTrue(heartbeat.matches(":[^\n]*\n\n"), heartbeat);
    }
  }

  @Test
  void tellsSteadyPowerOnceAndAtOnce() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS);
        EventStream first = server.stream("/gpu/stream_power")) {
      assertEquals(Map.of(0, 75000L, 1, 85000L, 2, 95000L, 3, 105000L), fourSamples(first));
      assertTrue(EventStream.isComment(first.next(HEARTBEAT)));
      // One who comes later, to a power that does not change any more.
      long before = System.nanoTime();
      try (EventStream second = server.stream("/gpu/stream_power")) {
        assertEquals(Map.of(0, 75000L, 1, 85000L, 2, 95000L, 3, 105000L), fourSamples(second));
        assertTrue(System.nanoTime() - before < 500_000_000L, "not at once");
        assertTrue(EventStream.isComment(second.next(HEARTBEAT)));
        assertTrue(EventStream.isComment(second.next(HEARTBEAT)));
      }
    }
  }

  private static Map<Integer, Long> fourSamples(EventStream stream) throws IOException {
    Map<Integer, Long> powerMw = new HashMap<>();
    for (int i = 0; i < 4; i++) {
      Sample sample = stream.nextSample();
      powerMw.put(sample.gpuId(), sample.powerMw());
    }
    return powerMw;
  }

  @Test
  void initialValueIsFresh() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS, 20);
        EventStream first = server.stream(SAMPLES)) {
      fourSamples(first);
      for (int i = 0; i < 5; i++) {
        long before = System.currentTimeMillis();
        try (EventStream next = server.stream(SAMPLES + "&gpu_ids=0")) {
          long age = before - next.nextSample().timestampMs();
          // One period, and room for the reading of the tick and for a busy machine.
          assertTrue(age <= 50 + 50, () -> "read " + age + " ms before the request");
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(StreamFormat.class)
  void speaksTheConfiguredDialectUnlessAsked(StreamFormat configured) throws IOException {
    try (TestServer server =
            TestServer.start(Transport.TCP, 20, Set.of(ApiGroup.GPU_READ), configured);
        EventStream unasked = server.stream("/gpu/stream_power");
        EventStream samples = server.stream(SAMPLES);
        EventStream snapshots = server.stream(SNAPSHOTS)) {
      switch (configured) {
        case SAMPLE -> unasked.nextSample();
        case SNAPSHOT -> unasked.nextSnapshot();
      }
      samples.nextSample();
      snapshots.nextSnapshot();
    }
  }

  @Test
  void tellsOnlyTheAskedDevices() throws IOException {
    for (int id = 0; id < 4; id++) {
      nvml.gpu(id).countingPower(1000);
    }
    try (TestServer server = TestServer.start(Transport.UDS);
        EventStream samples = server.stream(SAMPLES + "&gpu_ids=3,1,%203");
        EventStream snapshots = server.stream(SNAPSHOTS + "&gpu_ids=2,0")) {
      for (int i = 0; i < 20; i++) {
        assertTrue(Set.of(1, 3).contains(samples.nextSample().gpuId()));
        assertEquals(Set.of(0, 2), snapshots.nextSnapshot().powerMw().keySet());
      }
    }
  }

  @Test
  void tellsOneEventPerChangedValue() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS, 100);
        EventStream stream = server.stream(SAMPLES + "&gpu_ids=0,1")) {
      stream.nextSample();
      stream.nextSample();
      for (long powerMw = 200_000; powerMw < 200_010; powerMw++) {
        nvml.gpu(1).powerMw(powerMw);
        Sample sample = stream.nextSample();
        assertEquals(1, sample.gpuId());
        assertEquals(powerMw, sample.powerMw());
      }
      assertTrue(EventStream.isComment(stream.next(HEARTBEAT)), "nothing has changed since");
    }
  }

  @Test
  void tellsAtMostOneValuePerDeviceAndPeriod() throws IOException {
    nvml.gpu(0).countingPower(0);
    try (TestServer server = TestServer.start(Transport.TCP, 50);
        EventStream stream = server.stream(SAMPLES + "&gpu_ids=0")) {
      long readsBefore = nvml.gpu(0).powerReads();
      long start = System.nanoTime();
      List<Sample> samples = new ArrayList<>();
      while (System.nanoTime() - start < 1_000_000_000L) {
        samples.add(stream.nextSample());
      }
      long reads = nvml.gpu(0).powerReads() - readsBefore;
      assertTrue(reads <= 55, () -> reads + " reads in a second at 50 Hz");
      assertTrue(samples.size() >= 35 && samples.size() <= 55, () -> samples.size() + " samples");
      assertStrictlyRising(samples);
    }
  }

  private static void assertStrictlyRising(List<Sample> samples) {
    for (int i = 1; i < samples.size(); i++) {
      assertTrue(samples.get(i).powerMw() > samples.get(i - 1).powerMw(), samples::toString);
      assertTrue(samples.get(i).timestampMs() >= samples.get(i - 1).timestampMs());
    }
  }

  @Test
  void snapshotsHoldAllDevicesOncePerTick() throws IOException {
    for (int id = 0; id < 3; id++) {
      nvml.gpu(id).countingPower(10_000L * id);
    }
    try (TestServer server = TestServer.start(Transport.UDS);
        EventStream stream = server.stream(SNAPSHOTS)) {
      long start = System.nanoTime();
      int count = 0;
      Snapshot last = stream.nextSnapshot();
      while (System.nanoTime() - start < 1_500_000_000L) {
        Snapshot next = stream.nextSnapshot();
        assertEquals(Set.of(0, 1, 2, 3), next.powerMw().keySet());
        assertEquals(105_000, next.powerMw().get(3), "the steady one is told, too");
        assertTrue(next.timestampMs() >= last.timestampMs());
        last = next;
        count++;
      }
      // 20 a second; three values changed in each tick.
      int events = count;
      assertTrue(events >= 20 && events <= 36, () -> events + " snapshots in 1.5 s at 20 Hz");
    }
  }

  @Test
  void snapshotIsTheBodyOfGetPower() throws IOException {
    try (TestServer server = TestServer.start(Transport.TCP);
        EventStream stream = server.stream(SNAPSHOTS)) {
      String snapshot = stream.nextData().replaceFirst("\\d{13}", "T");
      assertEquals(server.get("/gpu/get_power").body().replaceFirst("\\d{13}", "T"), snapshot);
    }
  }

  @Test
  void goesOnWithoutAFailingDeviceUntilItHeals() throws IOException {
    nvml.gpu(0).countingPower(0);
    try (TestServer server = TestServer.start(Transport.UDS);
        EventStream samples = server.stream(SAMPLES + "&gpu_ids=0,1");
        EventStream snapshots = server.stream(SNAPSHOTS + "&gpu_ids=0,1")) {
      samples.nextSample();
      snapshots.nextSnapshot();
      nvml.gpu(1).powerMw(1).powerError(999);
      Set<Integer> told = new HashSet<>();
      for (int i = 0; i < 15; i++) {
        told.add(samples.nextSample().gpuId());
        snapshots.nextSnapshot();
      }
      assertTrue(told.contains(0), "the other device goes on");
      assertEquals(Set.of(0), snapshots.nextSnapshot().powerMw().keySet());
      nvml.gpu(1).powerMw(222).powerError(0);
      Sample healed = samples.nextSample();
      for (int i = 0; i < 100 && healed.gpuId() == 0; i++) {
        healed = samples.nextSample();
      }
      assertEquals(new Sample(healed.timestampMs(), 1, 222), healed);
      Snapshot both = snapshots.nextSnapshot();
      for (int i = 0; i < 100 && both.powerMw().size() == 1; i++) {
        both = snapshots.nextSnapshot();
      }
      assertEquals(222, both.powerMw().get(1));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {SAMPLES, SNAPSHOTS})
  void opensThoughADeviceFailsFromTheStart(String target) throws IOException {
    try (TestServer server = TestServer.start(Transport.TCP)) {
      nvml.gpu(0).powerError(15);
      try (EventStream stream = server.stream(target + "&gpu_ids=0,1")) {
        // The other one is steady: its first value is the only news there will be.
        String first = stream.nextData().replaceFirst("\\d{13}", "T");
        assertEquals(
            target.equals(SAMPLES)
                ? "{\"timestamp_ms\":T,\"gpu_id\":1,\"power_mw\":85000}"
                : "{\"timestamp_ms\":T,\"power_mw\":{\"1\":85000}}",
            first);
        nvml.gpu(0).powerError(0);
        assertTrue(stream.nextData().contains("75000"));
      }
    }
  }

  @Test
  void beatsThoughAllDevicesFail() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      nvml.error(Call.GET_FIELD_VALUES, 15).error(Call.GET_POWER_USAGE, 15);
      try (EventStream stream = server.stream(SNAPSHOTS)) {
        assertTrue(EventStream.isComment(stream.next(HEARTBEAT)));
        assertTrue(EventStream.isComment(stream.next(HEARTBEAT)));
        nvml.error(Call.GET_FIELD_VALUES, 0).error(Call.GET_POWER_USAGE, 0);
        // They heal one after the other, maybe not within the same tick.
        Snapshot healed = stream.nextSnapshot();
        for (int i = 0; i < 3 && healed.powerMw().size() < 4; i++) {
          healed = stream.nextSnapshot();
        }
        assertTrue(healed.powerMw().containsValue(75_000L));
      }
    }
  }

  @Test
  void ignoresWhatAClientSendsIntoAStream() throws IOException {
    try (TestServer server = TestServer.start(Transport.TCP);
        RawConnection connection = server.connect();
        EventStream stream = connection.stream(SAMPLES + "&gpu_ids=0")) {
      stream.nextSample();
      connection.send(RawConnection.request("GET", "/time"));
      nvml.gpu(0).powerMw(1234);
      assertEquals(1234, stream.nextSample().powerMw());
    }
  }
}
