package dev.zeusd.server;

import static dev.zeusd.testkit.nvml.FakeNvml.Call.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.TestLog;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.logging.Level;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What clients see of a driver that fails, goes away and comes back under the daemon. */
class DriverFaultsTest {
  private static final String STREAM = "/gpu/stream_power";

  private final FakeNvml nvml = TestServer.freshNvml();
  private TestServer server;
  private RawConnection connection;

  @BeforeEach
  void start() throws IOException {
    for (int gpu = 0; gpu < 4; gpu++) {
      nvml.gpu(gpu).countingPower(baseMw(gpu));
    }
    server =
        TestServer.start(
            Transport.UDS,
            20,
            EnumSet.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL),
            StreamFormat.SAMPLE);
    connection = server.connect();
  }

  @AfterEach
  void stop() throws IOException {
    connection.close();
    server.close();
  }

  // ---- Every result of every call ----

  private static final String CLOCKS = "&min_clock_mhz=500&max_clock_mhz=600";

  private record Endpoint(String method, String target, Call... calls) {}

  private static final List<Endpoint> ENDPOINTS =
      List.of(
          new Endpoint("GET", "/gpu/get_power?gpu_ids=0,1", GET_FIELD_VALUES, GET_POWER_USAGE),
          new Endpoint("GET", "/gpu/get_cumulative_energy?gpu_ids=0,1", GET_TOTAL_ENERGY),
          new Endpoint("GET", "/gpu/get_power_limit?gpu_ids=0,1", GET_POWER_LIMIT),
          new Endpoint(
              "GET", "/gpu/get_power_limit_constraints?gpu_ids=0,1", GET_POWER_LIMIT_CONSTRAINTS),
          new Endpoint("GET", "/gpu/get_persistence_mode?gpu_ids=0,1", GET_PERSISTENCE_MODE),
          write("set_power_limit", "&power_limit_mw=200000", SET_POWER_LIMIT),
          write("set_persistence_mode", "&enabled=true", SET_PERSISTENCE_MODE),
          write("set_gpu_locked_clocks", CLOCKS, SET_GPU_LOCKED_CLOCKS),
          write("set_mem_locked_clocks", CLOCKS, SET_MEM_LOCKED_CLOCKS),
          write("reset_gpu_locked_clocks", "", RESET_GPU_LOCKED_CLOCKS),
          write("reset_mem_locked_clocks", "", RESET_MEM_LOCKED_CLOCKS),
          write("reset_locked_clocks", "", RESET_GPU_LOCKED_CLOCKS),
          write("reset_locked_clocks", "", RESET_MEM_LOCKED_CLOCKS));

  private static Endpoint write(String name, String parameters, Call call) {
    return new Endpoint("POST", "/gpu/" + name + "?gpu_ids=0,1&block=true" + parameters, call);
  }

  static IntStream codes() {
    return IntStream.concat(IntStream.rangeClosed(1, 30), IntStream.of(77, 999));
  }

  @ParameterizedTest
  @MethodSource("codes")
  void everyResultOfEveryCallIsToldOfItsGpu(int code) throws IOException {
    int status =
        switch (code) {
          case 2, 3, 13, 24 -> 400;
          case 4 -> 403;
          default -> 500;
        };
    for (Endpoint endpoint : ENDPOINTS) {
      List.of(endpoint.calls).forEach(call -> nvml.gpu(1).error(call, code));
      long before = nvml.gpu(1).calls(endpoint.calls[0]);
      long onTheOther = nvml.gpu(0).calls();
      RawResponse failed = send(endpoint);
      assertEquals(status, failed.status(), endpoint + " " + failed);
      assertTrue(
          failed
              .body()
              .matches(
                  "\\{(.*,)?\"errors\":\\{\"1\":\"[^\"]{20,} \\(nvmlDevice\\w+:"
                      + " NVML_ERROR_\\w+[^\"]*\\)\"}}"),
          failed.body());
      assertTrue(nvml.gpu(1).calls(endpoint.calls[0]) > before, endpoint::toString);
      assertTrue(nvml.gpu(0).calls() > onTheOther, () -> "nothing of GPU 0: " + endpoint);
      List.of(endpoint.calls).forEach(call -> nvml.gpu(1).error(call, 0));
      assertEquals(200, send(endpoint).status(), endpoint::toString);
    }
  }

  private RawResponse send(Endpoint endpoint) throws IOException {
    connection.send(RawConnection.request(endpoint.method, endpoint.target));
    return connection.readResponse();
  }

  // ---- The driver goes and comes back ----

  @Test
  void aDriverThatIsUnloadedFailsByDeviceAndComesBack() throws Exception {
    String discovered = connection.get("/discover").body();
    try (TestLog log = new TestLog(PowerSampler.class.getName());
        EventStream stream = server.stream(STREAM)) {
      awaitSamples(stream, Set.of(0, 1, 2, 3));
      nvml.driverUnloaded(true);
      RawResponse failed = connection.get("/gpu/get_power_limit");
      assertEquals(500, failed.status());
      String each =
          "\":\"[^\"]*driver is not loaded; load it[^\"]*NVML_ERROR_DRIVER_NOT_LOADED\\)\"";
      String all = "\\{\"errors\":\\{\"0%1$s,\"1%1$s,\"2%1$s,\"3%1$s}}".formatted(each);
      assertTrue(failed.body().matches(all), failed.body());
      Await.until("each failure is logged", () -> log.lines(Level.WARNING).size() == 4);
      awaitSilence(stream);
      assertEquals(discovered, connection.get("/discover").body());
      assertEquals(200, connection.get("/time").status());
      nvml.driverUnloaded(false);
      awaitSamples(stream, Set.of(0, 1, 2, 3));
      assertEquals(200, connection.get("/gpu/get_power_limit").status());
      Await.until("each recovery is logged", () -> log.lines(Level.INFO).size() == 4);
      assertEquals(4, log.lines(Level.WARNING).size(), "once per change of state");
    }
  }

  /** As long as others are streamed, NVML is left alone, although it takes long to open. */
  @ParameterizedTest
  @CsvSource({"false", "true"})
  void aLostGpuDoesNotSilenceTheOthers(boolean alsoItsHandle) throws Exception {
    nvml.delay(INIT, Duration.ofSeconds(20));
    try (EventStream stream = server.stream(STREAM)) {
      awaitSamples(stream, Set.of(0, 1, 2, 3));
      long inits = nvml.calls(INIT);
      nvml.gpu(1).allErrors(15).error(GET_HANDLE_BY_INDEX, alsoItsHandle ? 15 : 0);
      long before = nvml.gpu(1).calls();
      long start = System.nanoTime();
      long lastNanos = start;
      long longestNanos = 0;
      while (lastNanos - start < 5_000_000_000L) {
        if (stream.nextSample().gpuId() == 0) {
          long now = System.nanoTime();
          longestNanos = Math.max(longestNanos, now - lastNanos);
          lastNanos = now;
        }
      }
      // 8 tries in 6 s, with what looks for the handle and both ways to read the power.
      long calls = nvml.gpu(1).calls() - before;
      assertTrue(calls <= 9 * 10, () -> calls + " calls to a lost GPU");
      assertEquals(inits, nvml.calls(INIT));
      // Half a second is allowed, the rest is for a busy machine; NVML would take 20 s to open.
      assertTrue(longestNanos < 10_000_000_000L, "silent for " + longestNanos / 1_000_000 + " ms");
      nvml.gpu(1).allErrors(0).error(GET_HANDLE_BY_INDEX, 0);
      awaitSamples(stream, Set.of(0, 1, 2, 3));
    } finally {
      nvml.delay(INIT, Duration.ZERO);
    }
  }

  @Test
  void aLostGpuThatIsStreamedAloneCostsHardlyACallAndTheOthersNone() throws Exception {
    try (EventStream stream = server.stream(STREAM + "?gpu_ids=1")) {
      awaitSamples(stream, Set.of(1));
      nvml.gpu(1).allErrors(15);
      Await.until("it is noticed", () -> nvml.gpu(1).calls(GET_POWER_USAGE) > 0);
      awaitComments(stream, 2);
      long start = System.nanoTime();
      long total = nvml.totalCalls();
      awaitComments(stream, 2);
      // A try each second, for one of two of which NVML may be opened anew: each with 10 calls of
      // GPU 1, and one look at where it was.
      long calls = nvml.totalCalls() - total;
      double seconds = (System.nanoTime() - start) / 1e9;
      assertTrue(calls <= 40 * (seconds + 1), () -> calls + " calls in " + seconds + " s");
      nvml.gpu(1).allErrors(0);
      awaitSamples(stream, Set.of(1));
    }
  }

  /** A stream without news has one each second. */
  private static void awaitComments(EventStream stream, int comments) throws IOException {
    for (int seen = 0; seen < comments; ) {
      seen += EventStream.isComment(stream.next(RawConnection.PATIENCE)) ? 1 : 0;
    }
  }

  @Test
  void whileOneGpuHangsTheOthersOutliveAReload() throws Exception {
    try (EventStream stream = server.stream(STREAM)) {
      awaitSamples(stream, Set.of(0, 1, 2, 3));
      nvml.gpu(2).delay(GET_FIELD_VALUES, Duration.ofMinutes(1));
      Await.until("GPU 2 hangs", () -> nvml.gpu(2).inFlight() == 1);
      nvml.driverUnloaded(true);
      Await.until("that is noticed", () -> get("/gpu/get_power_limit?gpu_ids=0").status() == 500);
      nvml.driverUnloaded(false);
      awaitSamples(stream, Set.of(0, 1, 3));
      assertEquals(1, nvml.gpu(2).inFlight(), "GPU 2 hangs all the time");
      nvml.gpu(2).delay(GET_FIELD_VALUES, Duration.ZERO);
      awaitSamples(stream, Set.of(2));
    } finally {
      nvml.gpu(2).delay(GET_FIELD_VALUES, Duration.ZERO);
    }
  }

  private RawResponse get(String target) {
    try {
      return connection.get(target);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  // ---- The driver is let go of ----

  @Test
  void releaseLetsGoOfTheDriverUntilTheNextRequest() throws Exception {
    long inits = nvml.calls(INIT);
    try (EventStream stream = server.stream(STREAM)) {
      awaitSamples(stream, Set.of(0));
      RawResponse refused = post("/gpu/release");
      refused.assertError(409, "streamed", "end the streams");
      assertEquals(0, nvml.calls(SHUTDOWN));
    }
    Await.until("the stream has ended", () -> post("/gpu/release").status() == 200);
    assertEquals(1, nvml.calls(SHUTDOWN));
    assertEquals("", post("/gpu/release").body());
    post("/gpu/release?gpu_ids=0").assertError(400, "gpu_ids");
    assertEquals(200, get("/discover").status());
    assertEquals(inits, nvml.calls(INIT), "nothing has opened it");
    assertEquals(200, get("/gpu/get_power_limit").status());
    assertEquals(inits + 1, nvml.calls(INIT));
    assertEquals(200, post("/gpu/release").status());
    try (EventStream stream = server.stream(STREAM)) {
      awaitSamples(stream, Set.of(0, 1, 2, 3));
    }
  }

  @Test
  void releaseSaysWhenACallHangs() throws Exception {
    nvml.gpu(2).delay(GET_POWER_LIMIT, Duration.ofMinutes(1));
    try (RawConnection hanging = server.connect()) {
      hanging.send(RawConnection.request("GET", "/gpu/get_power_limit?gpu_ids=2"));
      Await.until("it hangs", () -> nvml.gpu(2).inFlight() == 1);
      RawResponse busy = post("/gpu/release");
      busy.assertError(503, "does not end");
      assertEquals("10", busy.header("retry-after"));
      assertEquals(200, get("/gpu/get_power_limit?gpu_ids=1").status());
      nvml.gpu(2).delay(GET_POWER_LIMIT, Duration.ZERO);
      assertEquals(200, hanging.readResponse().status());
    } finally {
      nvml.gpu(2).delay(GET_POWER_LIMIT, Duration.ZERO);
    }
    assertEquals(200, post("/gpu/release").status());
  }

  private RawResponse post(String target) {
    try {
      connection.send(RawConnection.request("POST", target));
      return connection.readResponse();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  // ---- A slow driver ----

  @Test
  void whatManyAskOfASlowGpuDoesNotAddUp() throws Exception {
    nvml.gpu(1).delay(GET_POWER_LIMIT, Duration.ofMillis(300));
    long before = nvml.gpu(1).calls(GET_POWER_LIMIT);
    List<RawConnection> clients = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      clients.add(server.connect());
      clients.getLast().send(RawConnection.request("GET", "/gpu/get_power_limit?gpu_ids=1"));
    }
    for (RawConnection client : clients) {
      assertEquals(200, client.readResponse().status());
      client.close();
    }
    long reads = nvml.gpu(1).calls(GET_POWER_LIMIT) - before;
    assertTrue(reads < 30, () -> reads + " reads for 60 clients");
  }

  // ---- The number of GPUs changes ----

  @Test
  void gpusThatAreGoneFailAndComeBack() throws Exception {
    String discovered = connection.get("/discover").body();
    try (EventStream stream = server.stream(STREAM)) {
      awaitSamples(stream, Set.of(0, 1, 2, 3));
      nvml.deviceCount(2);
      RawResponse failed = connection.get("/gpu/get_power_limit");
      assertEquals(500, failed.status());
      assertTrue(
          failed
              .body()
              .matches("\\{\"0\":.*,\"1\":.*,\"errors\":\\{\"2\":\"[^\"]+\",\"3\":\"[^\"]+\"}}"),
          failed.body());
      awaitSamples(stream, Set.of(0, 1));
      assertEquals(discovered, connection.get("/discover").body());
      nvml.deviceCount(4);
      awaitSamples(stream, Set.of(2, 3));
      assertEquals(200, connection.get("/gpu/get_power_limit").status());
    }
  }

  /** A GPU is put in before the others, which move up by one. */
  @Test
  void anAddedGpuDoesNotTakeTheOthersPlaces() throws Exception {
    // The fake's UUIDs end with the index that a GPU had when the daemon started.
    for (int index = 4; index > 0; index--) {
      String uuid = "GPU-fa4e0000-0000-4000-8000-%012x".formatted(index - 1);
      nvml.gpu(index).uuid(uuid).powerMw(900_000 + index - 1);
    }
    nvml.gpu(0).uuid("GPU-new").powerMw(111);
    try (EventStream stream = server.stream(STREAM)) {
      nvml.deviceCount(5).driverUnloaded(true).driverUnloaded(false);
      Await.until(
          "the new one is found",
          () -> get("/discover").body().startsWith("{\"gpu_ids\":[0,1,2,3,4],"));
      connection
          .get("/gpu/get_power")
          .assertOkMatching(
              "\\{\"timestamp_ms\":\\d+,\"power_mw\":"
                  + "\\{\"0\":900000,\"1\":900001,\"2\":900002,\"3\":900003,\"4\":111}}");
      // Its client comes back, and has them all.
      stream.assertEndsProperly();
      nvml.gpu(0).powerMw(333);
      try (EventStream later = server.stream(STREAM)) {
        assertArrives(later, 4, 333);
      }
    }
  }

  private static void assertArrives(EventStream stream, int gpu, long powerMw) throws IOException {
    EventStream.Sample sample;
    do {
      sample = stream.nextSample();
    } while (sample.gpuId() != gpu || sample.powerMw() != powerMw);
  }

  // ---- Streams ----

  /** Reads until each of some GPUs has given a value that was read after now. */
  private void awaitSamples(EventStream stream, Set<Integer> gpus) throws IOException {
    Map<Integer, Long> nextMw = new HashMap<>();
    gpus.forEach(gpu -> nextMw.put(gpu, baseMw(gpu) + nvml.gpu(gpu).powerReads()));
    long deadline = System.nanoTime() + 20_000_000_000L;
    while (!nextMw.isEmpty()) {
      assertTrue(System.nanoTime() < deadline, () -> "nothing new from GPUs " + nextMw.keySet());
      EventStream.Sample sample = stream.nextSample();
      if (sample.powerMw() >= nextMw.getOrDefault(sample.gpuId(), Long.MAX_VALUE)) {
        nextMw.remove(sample.gpuId());
      }
    }
  }

  private static long baseMw(int gpu) {
    return 100_000L * (gpu + 1);
  }

  /** Reads to the second sign of life in a row without a value. */
  private static void awaitSilence(EventStream stream) throws IOException {
    int comments = 0;
    for (int events = 0; comments < 2; events++) {
      assertTrue(events < 1000, "values come on and on");
      String block = stream.next(RawConnection.PATIENCE);
      comments = EventStream.isComment(block) ? comments + 1 : 0;
    }
  }
}
