package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.device.GpuSelector;
import dev.zeusd.server.auth.Grant;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.auth.Who;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import jakarta.json.Json;
import jakarta.json.JsonArray;
import jakarta.json.JsonNumber;
import jakarta.json.JsonObject;
import jakarta.json.JsonValue;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The power of the past, over real connections, from the driver's and the kernel's readings. */
@Timeout(60)
class HistoryTest {
  private final FakeNvml nvml = TestServer.freshNvml();
  private TestServer server;

  @TempDir Path rapl;

  @AfterEach
  void stop() throws IOException {
    server.close();
  }

  private void start(Transport transport, boolean keeps) throws IOException {
    start(transport, keeps, Optional.empty());
  }

  private void start(Transport transport, boolean keeps, Optional<Tokens> tokens)
      throws IOException {
    Path zone = Files.createDirectories(rapl.resolve("intel-rapl:0"));
    Files.writeString(zone.resolve("name"), "package-0\n");
    Files.writeString(zone.resolve("energy_uj"), "1000\n");
    Files.writeString(zone.resolve("max_energy_range_uj"), "65000000000\n");
    NodeConfig config =
        NodeConfig.defaults()
            .withGpuBackend(GpuBackend.NVML)
            .withGpuPowerPollHz(100)
            .withCpuBackend(CpuBackend.RAPL)
            .withCpuPowerPollHz(100)
            .withRaplDir(rapl);
    Duration hour = Duration.ofHours(1);
    Node node =
        Node.open(keeps ? config.withGpuPowerHistory(hour).withCpuPowerHistory(hour) : config);
    server = TestServer.startAll(transport, node, tokens);
  }

  private JsonObject get(String target) throws IOException {
    RawResponse answer = server.get(target);
    assertEquals(200, answer.status(), answer::toString);
    return Json.createReader(new StringReader(answer.body())).readObject();
  }

  private static JsonObject gpu(JsonObject answer, int id) {
    return answer.getJsonObject("power_mw").getJsonObject("" + id);
  }

  private static List<Long> numbers(JsonObject steps, String which) {
    return steps.getJsonArray(which).stream()
        .filter(JsonNumber.class::isInstance)
        .map(each -> ((JsonNumber) each).longValue())
        .toList();
  }

  private interface Condition {
    boolean holds() throws IOException;
  }

  private static void await(String what, Condition condition)
      throws InterruptedException, IOException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!condition.holds()) {
      assertTrue(System.nanoTime() < deadline, () -> "never: " + what);
      Thread.sleep(10);
    }
  }

  @ParameterizedTest
  @EnumSource
  void tellsMeanLowestAndHighestOfEachStep(Transport transport) throws Exception {
    nvml.gpu(0).powerMw(100_000);
    start(transport, true);
    String all = "/gpu/power_history?gpu_ids=0&step_ms=86400000";
    await("a first reading", () -> numbers(gpu(get(all), 0), "max").equals(List.of(100_000L)));
    nvml.gpu(0).powerMw(300_000);
    await("a second one", () -> numbers(gpu(get(all), 0), "max").equals(List.of(300_000L)));
    JsonObject answer = get(all);
    assertEquals(Set.of("0"), answer.getJsonObject("power_mw").keySet());
    assertEquals(List.of(100_000L), numbers(gpu(answer, 0), "min"));
    long mean = numbers(gpu(answer, 0), "mean").getFirst();
    assertTrue(mean > 100_000 && mean < 300_000, () -> "mean " + mean);
    JsonObject usual = get("/gpu/power_history");
    assertTrue(usual.getJsonObject("power_mw").size() > 1, "all GPUs");
    assertTrue(usual.getJsonNumber("step_ms").longValue() >= 10);
    List<Long> highest = numbers(gpu(usual, 0), "max");
    assertEquals(100_000L, highest.getFirst());
    assertEquals(300_000L, highest.getLast());
  }

  @Test
  void stepsBeginWhereTheyWereAskedFor() throws Exception {
    start(Transport.TCP, true);
    String recent = "/gpu/power_history?gpu_ids=0&step_ms=1000&from_ms=";
    await("a reading", () -> !numbers(gpu(get("/gpu/power_history"), 0), "mean").isEmpty());
    long nowMs = get("/time").getJsonNumber("timestamp_ms").longValue();
    long longAgoMs = nowMs - 50_000_077;
    JsonObject answer = get(recent + longAgoMs);
    long fromMs = answer.getJsonNumber("from_ms").longValue();
    long toMs = answer.getJsonNumber("to_ms").longValue();
    JsonArray means = gpu(answer, 0).getJsonArray("mean");
    assertEquals(0, (fromMs - longAgoMs) % 1000, "of the steps that were asked for");
    assertEquals(toMs, fromMs + 1000L * means.size());
    assertTrue(means.getFirst() != JsonValue.NULL, "nothing before the first reading");
    assertTrue(toMs > nowMs && toMs < nowMs + 60_000, "to " + toMs + " at " + nowMs);
    JsonObject nothing = get(recent + longAgoMs + "&to_ms=" + (longAgoMs + 5000));
    assertEquals(List.of(), gpu(nothing, 0).getJsonArray("mean"));
    JsonObject future = get(recent + (nowMs + 999_999));
    assertEquals(List.of(), gpu(future, 0).getJsonArray("mean"));
  }

  @Test
  void cpusHaveTheirDramWhereItIsMeasured() throws Exception {
    start(Transport.UDS, true);
    Path counter = rapl.resolve("intel-rapl:0/energy_uj");
    long[] energyUj = {1000};
    await(
        "power of the CPU",
        () -> {
          energyUj[0] += 1_000_000;
          Files.writeString(counter, energyUj[0] + "\n");
          JsonObject cpu = gpu(get("/cpu/power_history?cpu_ids=0&step_ms=86400000"), 0);
          assertEquals(JsonValue.NULL, cpu.get("dram_mw"));
          return numbers(cpu.getJsonObject("cpu_mw"), "max").stream().anyMatch(mw -> mw > 0);
        });
  }

  @ParameterizedTest
  @CsvSource({
    "?step_ms=0, step_ms",
    "?step_ms=x, step_ms",
    "?from_ms=-1, from_ms",
    "?from_ms=5&to_ms=4, to_ms",
    "?from_ms=1000000000000000, out of range",
    "?gpu_ids=99, gpu_ids",
    "?since=1, 'from_ms, gpu_ids, step_ms, to_ms'",
  })
  void refusesWhatMakesNoSense(String query, String mentioned) throws IOException {
    start(Transport.TCP, true);
    server.get("/gpu/power_history" + query).assertError(400, mentioned);
  }

  @Test
  void tokensDecideWhoseHistoryIsTold() throws Exception {
    start(Transport.TCP, true, Optional.of(TestTokens.checker()));
    ask("/gpu/power_history").assertError(401);
    ask("/gpu/power_history", TestTokens.header("cpu-read")).assertError(403, "gpu-read");
    ask("/cpu/power_history", TestTokens.header("gpu-read")).assertError(403, "cpu-read");
    assertEquals(200, ask("/gpu/power_history", TestTokens.header("gpu-read")).status());
    assertEquals(200, ask("/cpu/power_history", TestTokens.header("cpu-read")).status());
    Grant grant =
        new Grant(
            List.of(Who.parse("token:alice")),
            Set.of(ApiGroup.GPU_READ),
            false,
            List.of(new GpuSelector.Index(1)),
            Set.of(),
            Map.of());
    server.replaceAccess(Optional.of(TestTokens.checker()), new Policy(List.of(grant)));
    String alice = TestTokens.header("gpu-read", "cpu-read");
    RawResponse own = ask("/gpu/power_history", alice);
    assertTrue(
        own.body().contains("\"power_mw\":{\"1\":") && !own.body().contains("\"0\":"), own::body);
    ask("/gpu/power_history?gpu_ids=0", alice).assertError(403);
    ask("/cpu/power_history", alice).assertError(403);
  }

  private RawResponse ask(String target, String... headers) throws IOException {
    try (RawConnection connection = server.connect()) {
      connection.send(RawConnection.request("GET", target, headers));
      return connection.readResponse();
    }
  }

  @Test
  void withoutItNothingIsReadAndThePathSaysSo() throws Exception {
    start(Transport.TCP, false);
    long reads = nvml.gpu(0).powerReads();
    server.get("/gpu/power_history").assertError(404, "--history");
    server.get("/cpu/power_history").assertError(404, "--history");
    assertTrue(!server.get("/discover").body().contains("power_history_s"));
    assertEquals(reads, nvml.gpu(0).powerReads());
    assertEquals(200, server.post("/gpu/release").status());
    assertTrue(!server.get("/metrics").body().contains("power_history_bytes"));
  }

  @Test
  void itIsToldAndKeepsTheDriver() throws Exception {
    start(Transport.TCP, true);
    assertEquals(3600, get("/discover").getInt("power_history_s"));
    server.post("/gpu/release").assertError(409, "--history");
    await(
        "its memory",
        () -> server.get("/metrics").body().contains("zeusd_power_history_bytes{kind=\"gpu\"} "));
  }
}
