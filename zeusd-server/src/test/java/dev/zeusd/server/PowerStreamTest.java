package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Metronome;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.EventStream.Sample;
import dev.zeusd.server.raw.EventStream.Snapshot;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What streams tell, and when. */
@Timeout(120)
class PowerStreamTest {
  private static final String SAMPLES = "/gpu/stream_power?format=sample";
  private static final String SNAPSHOTS = "/gpu/stream_power?format=snapshot";

  /** A heartbeat comes after a second of silence; the rest is for a busy machine. */
  private static final long HEARTBEAT_MS = 1700;

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
      try (Metronome metronome = new Metronome()) {
        String heartbeat = new String(connection.readChunk(RawConnection.PATIENCE), "US-ASCII");
        assertTrue(metronome.beats() <= HEARTBEAT_MS, "no sign of life for too long");
        assertTrue(heartbeat.matches(":[^\n]*\n\n"), heartbeat);
      }
    }
  }

  /** By a clock that stands still where this machine does. */
  private static void assertHeartbeat(EventStream stream) throws IOException {
    try (Metronome metronome = new Metronome()) {
      String block = stream.next(RawConnection.PATIENCE);
      assertTrue(EventStream.isComment(block), () -> "news: '" + block + "'");
      assertTrue(metronome.beats() <= HEARTBEAT_MS, "no sign of life for too long");
    }
  }

  @Test
  void tellsSteadyPowerOnceAndAtOnce() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS);
        EventStream first = server.stream("/gpu/stream_power")) {
      assertEquals(Map.of(0, 75000L, 1, 85000L, 2, 95000L, 3, 105000L), fourSamples(first));
      assertHeartbeat(first);
      // One who comes later, to a power that does not change any more.
      try (Metronome metronome = new Metronome();
          EventStream second = server.stream("/gpu/stream_power")) {
        assertEquals(Map.of(0, 75000L, 1, 85000L, 2, 95000L, 3, 105000L), fourSamples(second));
        assertTrue(metronome.beats() < 500, "not at once");
        assertHeartbeat(second);
        assertHeartbeat(second);
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
  void initialValueIsFresh() throws Exception {
    nvml.gpu(0).countingPower(0);
    try (TestServer server = TestServer.start(Transport.UDS, 20);
        EventStream first = server.stream(SAMPLES)) {
      fourSamples(first);
      for (int i = 0; i < 5; i++) {
        // The power says which reading it is of: the last one, or the one before if that is on its
        // way. So it is one period old at most, whatever else this machine does.
        long reads = nvml.gpu(0).powerReads();
        try (EventStream next = server.stream(SAMPLES + "&gpu_ids=0")) {
          long reading = next.nextSample().powerMw() + 1;
          assertTrue(reading >= reads - 1, () -> "of reading " + reading + " of " + reads);
        }
        Await.until("another tick", () -> nvml.gpu(0).powerReads() > reads + 1);
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
      assertHeartbeat(stream);
    }
  }

  @Test
  void tellsAtMostOneValuePerDeviceAndPeriod() throws IOException {
    nvml.gpu(0).countingPower(0);
    try (TestServer server = TestServer.start(Transport.TCP, 50);
        EventStream stream = server.stream(SAMPLES + "&gpu_ids=0")) {
      List<Sample> samples = new ArrayList<>();
      long start = System.nanoTime();
      long readsBefore = nvml.gpu(0).powerReads();
      try (Metronome metronome = new Metronome()) {
        while (metronome.beats() < 1000) {
          samples.add(stream.nextSample());
        }
      }
      long reads = nvml.gpu(0).powerReads() - readsBefore;
      double seconds = (System.nanoTime() - start) / 1e9;
      assertTrue(reads <= 50 * seconds + 5, () -> reads + " reads in " + seconds + " s at 50 Hz");
      assertTrue(samples.size() >= 35, () -> samples.size() + " samples");
      assertTrue(samples.size() <= 50 * seconds + 5, () -> samples.size() + " samples");
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
      try (Metronome metronome = new Metronome()) {
        while (metronome.beats() < 1500) {
          Snapshot next = stream.nextSnapshot();
          assertEquals(Set.of(0, 1, 2, 3), next.powerMw().keySet());
          assertEquals(105_000, next.powerMw().get(3), "the steady one is told, too");
          assertTrue(next.timestampMs() >= last.timestampMs());
          last = next;
          count++;
        }
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      // 20 a second; three values changed in each tick.
      int events = count;
      assertTrue(events >= 20, () -> events + " snapshots in 1.5 s at 20 Hz");
      assertTrue(
          events <= 20 * seconds + 6, () -> events + " snapshots in " + seconds + " s at 20 Hz");
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
      nvml.gpu(1).powerError(999);
      // What was on its way before comes first, and then the other device goes on.
      awaitSnapshotOf(snapshots, Set.of(0));
      Set<Integer> told = new HashSet<>();
      for (int i = 0; i < 15; i++) {
        assertEquals(Set.of(0), snapshots.nextSnapshot().powerMw().keySet());
        told.add(samples.nextSample().gpuId());
      }
      assertTrue(told.contains(0), "the other device goes on");
      nvml.gpu(1).powerMw(222).powerError(0);
      Sample healed = samples.nextSample();
      while (healed.gpuId() == 0) {
        healed = samples.nextSample();
      }
      assertEquals(new Sample(healed.timestampMs(), 1, 222), healed);
      assertEquals(222, awaitSnapshotOf(snapshots, Set.of(0, 1)).powerMw().get(1));
    }
  }

  private static Snapshot awaitSnapshotOf(EventStream snapshots, Set<Integer> gpus)
      throws IOException {
    Snapshot snapshot = snapshots.nextSnapshot();
    while (!snapshot.powerMw().keySet().equals(gpus)) {
      snapshot = snapshots.nextSnapshot();
    }
    return snapshot;
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
        assertHeartbeat(stream);
        assertHeartbeat(stream);
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
