package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import jakarta.json.Json;
import jakarta.json.JsonObject;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Energy windows, over real connections down to the driver's and the kernel's counters. */
@Timeout(60)
class EnergyTest {
  private static final int NOT_SUPPORTED = 3;
  private static final int GPU_IS_LOST = 15;
  private static final long RANGE_UJ = 65_000_000_000L;

  private final FakeNvml nvml = TestServer.freshNvml();
  private TestServer server;

  @TempDir Path rapl;

  @AfterEach
  void stop() throws IOException {
    server.close();
  }

  private void zone(String name, String kind, long energyUj) throws IOException {
    Path zone = Files.createDirectories(rapl.resolve(name));
    Files.writeString(zone.resolve("name"), kind + "\n");
    Files.writeString(zone.resolve("energy_uj"), energyUj + "\n");
    Files.writeString(zone.resolve("max_energy_range_uj"), RANGE_UJ + "\n");
  }

  private void startAll(Transport transport) throws IOException {
    zone("intel-rapl:0", "package-0", 1_000);
    zone("intel-rapl:0/intel-rapl:0:0", "dram", 500);
    zone("intel-rapl:1", "psys", 9_000);
    server = TestServer.startAll(transport, rapl);
  }

  private RawResponse ask(String method, String target, String... headers) throws IOException {
    try (RawConnection connection = server.connect()) {
      connection.send(RawConnection.request(method, target, headers));
      return connection.readResponse();
    }
  }

  private static JsonObject json(RawResponse response) {
    return Json.createReader(new StringReader(response.body())).readObject();
  }

  private String begin(String query, String... headers) throws IOException {
    RawResponse response = ask("POST", "/energy/begin" + query, headers);
    assertEquals(201, response.status(), response::toString);
    assertEquals(false, json(response).getBoolean("crash_safe"), "there is no state directory");
    return json(response).getString("window_id");
  }

  private JsonObject end(String id, String... headers) throws IOException {
    RawResponse response = ask("POST", "/energy/end?window_id=" + id, headers);
    assertEquals(200, response.status(), response::toString);
    return json(response);
  }

  @ParameterizedTest
  @EnumSource
  void tellsTheEnergyOfEachDevice(Transport transport) throws IOException {
    nvml.gpu(0).energyMj(5_000);
    nvml.gpu(1).energyMj(-200);
    startAll(transport);
    String id = begin("?name=job%207&gpu_ids=0,1");
    nvml.gpu(0).energyMj(6_250);
    nvml.gpu(1).energyMj(300);
    zone("intel-rapl:0", "package-0", 2_001_000);
    zone("intel-rapl:0/intel-rapl:0:0", "dram", 500_500);
    zone("intel-rapl:1", "psys", 8_009_000);
    RawResponse soFar = ask("GET", "/energy/window?window_id=" + id);
    JsonObject energy = json(soFar);
    String gpu = "{\"energy_mj\":%d,\"method\":\"counter\",\"gap_ms\":0,\"missing_ms\":0}";
    assertEquals(gpu.formatted(1_250), energy.getJsonObject("gpus").get("0").toString());
    assertEquals(gpu.formatted(500), energy.getJsonObject("gpus").get("1").toString());
    assertEquals(
        "{\"0\":{\"cpu_energy_uj\":2000000,\"dram_energy_uj\":500000,\"gap_ms\":0,"
            + "\"missing_ms\":0}}",
        energy.get("cpus").toString());
    assertEquals("job 7", energy.getString("name"));
    assertEquals(4.25, energy.getJsonNumber("total_j").doubleValue());
    assertTrue(energy.getJsonNumber("seconds").doubleValue() > 0);
    assertTrue(!energy.containsKey("errors"), soFar::body);
    nvml.gpu(0).energyMj(6_251);
    JsonObject ended = end(id);
    assertEquals(4.251, ended.getJsonNumber("total_j").doubleValue());
    nvml.gpu(0).energyMj(7_000);
    assertEquals(ended, end(id), "the same for who asks again");
    ask("POST", "/energy/end?window_id=" + "0".repeat(32))
        .assertError(410, "no such energy window");
    ask("GET", "/energy/window?window_id=" + id).assertError(410);
  }

  @Test
  void thePlatformIsInNoTotal() throws IOException {
    nvml.gpu(0).energyMj(5_000);
    startAll(Transport.UDS);
    String id = begin("?gpu_ids=0&cpu_ids=0,1");
    zone("intel-rapl:0", "package-0", 1_001_000);
    zone("intel-rapl:1", "psys", 8_009_000);
    JsonObject energy = end(id);
    assertEquals(
        8_000_000, energy.getJsonObject("cpus").getJsonObject("1").getInt("cpu_energy_uj"));
    assertEquals(Set.of("0"), energy.getJsonObject("gpus").keySet());
    assertEquals(1.0, energy.getJsonNumber("total_j").doubleValue());
  }

  @Test
  void aWrapOfACpusCounterIsCounted() throws IOException {
    startAll(Transport.UDS);
    zone("intel-rapl:0", "package-0", RANGE_UJ - 10_000_000);
    String id = begin("");
    zone("intel-rapl:0", "package-0", 5_000_000);
    JsonObject cpu = end(id).getJsonObject("cpus").getJsonObject("0");
    assertEquals(15_000_000, cpu.getInt("cpu_energy_uj"));
    assertEquals(0, cpu.getInt("missing_ms"));
  }

  @Test
  void powerIsSummedUpWhereAGpuDoesNotCount() throws Exception {
    nvml.gpu(0).error(Call.GET_TOTAL_ENERGY, NOT_SUPPORTED).powerMw(250_000);
    startAll(Transport.UDS);
    String id = begin("");
    long before = nvml.gpu(0).powerReads();
    Await.until("readings of power", () -> nvml.gpu(0).powerReads() > before + 20);
    long idle = nvml.gpu(1).powerReads();
    JsonObject energy = end(id);
    JsonObject gpu = energy.getJsonObject("gpus").getJsonObject("0");
    assertEquals("integrated", gpu.getString("method"));
    double seconds = energy.getJsonNumber("seconds").doubleValue();
    // The reading that begins it, and the one that ends it, take their time on a busy machine.
    assertEquals(250 * seconds, gpu.getInt("energy_mj") / 1e3, 250 * 0.5, gpu + " " + seconds);
    assertEquals("counter", energy.getJsonObject("gpus").getJsonObject("1").getString("method"));
    assertEquals(0, idle, "power of one that counts is not read");
    Await.rest();
  }

  @Test
  void aDeviceThatCannotBeReadCostsOnlyItself() throws IOException {
    startAll(Transport.UDS);
    nvml.gpu(0).error(Call.GET_TOTAL_ENERGY, GPU_IS_LOST);
    String id = begin("");
    nvml.gpu(1).energyMj(123_456);
    JsonObject energy = end(id);
    assertTrue(energy.getJsonObject("gpus").containsKey("1"), energy::toString);
    JsonObject errors = energy.getJsonObject("errors");
    assertEquals(Set.of("0"), errors.getJsonObject("gpus").keySet());
    assertEquals("{}", errors.get("cpus").toString());
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      value = {
        "?ttl_s=0, 400, ttl_s",
        "?ttl_s=2592001, 400, 2592000",
        "?ttl_s=x, 400, ttl_s",
        "?gpu_ids=99, 400, gpu_ids",
        "?cpu_ids=, 400, cpu_ids",
        "?name=a%0Ab, 400, control characters",
        "?nam=a, 400, nam",
      })
  void refusesWhatMakesNoSense(String query, int status, String mentioned) throws IOException {
    startAll(Transport.TCP);
    ask("POST", "/energy/begin" + query).assertError(status, mentioned);
    ask("POST", "/energy/begin?name=" + "x".repeat(201)).assertError(400, "longer than 200");
    ask("POST", "/energy/end").assertError(400, "window_id");
    ask("GET", "/energy/windows").assertOk("{\"windows\":[]}");
  }

  @Test
  void theDriverStaysWhileAWindowMeasures() throws IOException {
    startAll(Transport.UDS);
    String id = begin("");
    ask("POST", "/gpu/release").assertError(409, "energy window", "/energy/windows");
    end(id);
    assertEquals(200, ask("POST", "/gpu/release").status());
  }

  @Test
  void tokensDecideWhatIsMeasured() throws IOException {
    zone("intel-rapl:0", "package-0", 1_000);
    server = TestServer.startAll(Transport.TCP, rapl, Optional.of(TestTokens.checker()));
    String gpus = TestTokens.header("gpu-read");
    String cpus = TestTokens.header("cpu-read");
    ask("POST", "/energy/begin").assertError(401);
    ask("POST", "/energy/begin", TestTokens.header("gpu-control")).assertError(403, "gpu-read");
    ask("POST", "/energy/begin?cpu_ids=0", gpus).assertError(403, "cpu-read");
    String id = begin("", gpus);
    ask("GET", "/energy/window?window_id=" + id, cpus).assertError(403, "gpu-read");
    ask("POST", "/energy/end?window_id=" + id, cpus).assertError(403, "gpu-read");
    JsonObject energy = end(id, gpus);
    ask("POST", "/energy/end?window_id=" + id, cpus).assertError(403, "gpu-read");
    assertEquals("{}", energy.get("cpus").toString());
    assertTrue(!energy.getJsonObject("gpus").isEmpty());
    begin("", cpus);
    String listed = ask("GET", "/energy/windows", cpus).body();
    assertTrue(listed.contains("\"owner\":\"user 'alice'\""), listed);
    assertTrue(listed.contains("\"gpu_ids\":[],\"cpu_ids\":[0]"), listed);
  }

  @Test
  void aGroupThatIsNotEnabledIsNotMeasured() throws IOException {
    server = TestServer.start(Transport.TCP);
    ask("POST", "/energy/begin?cpu_ids=0").assertError(404, "cpu-read is not enabled");
    assertEquals("{}", end(begin("")).get("cpus").toString());
  }
}
