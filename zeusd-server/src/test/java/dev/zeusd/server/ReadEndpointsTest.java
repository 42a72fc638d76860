package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import dev.zeusd.testkit.nvml.FakeNvml.Oddity;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Set;
import java.util.regex.Matcher;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What discovery, time and the readings of gpu-read answer. */
class ReadEndpointsTest {
  private static final String POWER = "\\{\"timestamp_ms\":(\\d{13}),\"power_mw\":\\{%s}}";

  private final FakeNvml nvml = TestServer.freshNvml();

  @BeforeEach
  void twoGpus() {
    nvml.deviceCount(2);
  }

  @ParameterizedTest
  @EnumSource
  void discoversTheDevices(Transport transport) throws IOException {
    nvml.gpu(0).name("NVIDIA H100 80GB HBM3").pci(0, 0x19, 0);
    // lspci shows domains with at least four digits, and all of a longer one.
    nvml.gpu(1).name("NVIDIA \"T4\" \\ é").pci(0xABCDE, 0xF0, 0x1F);
    nvml.gpu(1).error(Call.GET_TOTAL_ENERGY, 3);
    try (TestServer server = TestServer.start(transport)) {
      server
          .get("/discover")
          .assertOk(
              "{\"gpu_ids\":[0,1],\"cpu_ids\":[],\"dram_available\":[],\"gpus\":["
                  + "{\"id\":0,\"name\":\"NVIDIA H100 80GB HBM3\",\"vendor\":\"nvidia\","
                  + "\"uuid\":\"GPU-fa4e0000-0000-4000-8000-000000000000\","
                  + "\"pci_address\":\"0000:19:00.0\",\"cumulative_energy_available\":true},"
                  + "{\"id\":1,\"name\":\"NVIDIA \\\"T4\\\" \\\\ é\",\"vendor\":\"nvidia\","
                  + "\"uuid\":\"GPU-fa4e0000-0000-4000-8000-000000000001\","
                  + "\"pci_address\":\"abcde:f0:1f.0\",\"cumulative_energy_available\":false}],"
                  + "\"cpus\":[],\"enabled_api_groups\":[\"gpu-read\"],\"auth_required\":false,"
                  + "\"problems\":[\"no CPUs: cpu-read is not enabled on this daemon\"]}");
    }
  }

  @Test
  void discoversAGpuThatWasLostAtTheStartOnceItHasAnswered() throws Exception {
    nvml.gpu(1).allErrors(15);
    try (TestServer server = TestServer.start(Transport.UDS)) {
      String lost = server.get("/discover").body();
      assertTrue(
          lost.contains(
              "{\"id\":1,\"name\":\"unknown\",\"vendor\":\"nvidia\",\"uuid\":null,"
                  + "\"pci_address\":null,"
                  + "\"cumulative_energy_available\":null}"),
          lost);
      assertEquals(500, server.get("/gpu/get_power").status());
      assertEquals(lost, server.get("/discover").body());
      nvml.gpu(1).allErrors(0);
      Await.until("it answers", () -> get(server, "/gpu/get_power").status() == 200);
      Await.until(
          "it is known",
          () -> {
            get(server, "/gpu/get_power")
                .assertOkMatching(POWER.formatted("\"0\":75000,\"1\":85000"));
            String found = discover(server);
            return found.contains("\"pci_address\":\"0000:27:00.0\"") && !found.contains("null");
          });
    }
  }

  private static RawResponse get(TestServer server, String target) {
    try {
      return server.get(target);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void discoversThatAGpusPowerIsItsModules() throws IOException {
    nvml.deviceCount(2).gpu(1).instantPowerReturn(3).moduleScope(true);
    try (TestServer server = TestServer.start(Transport.TCP)) {
      String discovered = server.get("/discover").body();
      assertTrue(
          discovered.contains("\"cumulative_energy_available\":true},{\"id\":1,"), discovered);
      assertTrue(
          discovered.contains("\"cumulative_energy_available\":true,\"power_scope\":\"module\"}]"),
          discovered);
      server.get("/gpu/get_power").assertOkMatching(POWER.formatted("\"0\":75000,\"1\":85000"));
      server
          .get("/gpu/get_power?scope=module&gpu_ids=1")
          .assertOkMatching(POWER.formatted("\"1\":85000"));
      server
          .get("/gpu/get_power?scope=gpu&gpu_ids=0")
          .assertOkMatching(POWER.formatted("\"0\":75000"));
      RawResponse partly = server.get("/gpu/get_power?scope=gpu");
      assertEquals(400, partly.status());
      assertTrue(
          partly.body().contains("\"1\":\"this GPU does not tell the power of the GPU alone"),
          partly.body());
      assertTrue(partly.body().contains("\"power_mw\":{\"0\":75000}"), partly.body());
      assertEquals(400, server.get("/gpu/get_power?scope=module&gpu_ids=0").status());
      assertEquals(400, server.get("/gpu/get_power?scope=board").status());
    }
  }

  @Test
  void aPowerThatNothingDrawsIsAFailedRead() throws IOException {
    nvml.gpu(0).powerMw(0xFFFF_FFFFL);
    nvml.gpu(1).oddity(Call.GET_FIELD_VALUES, Oddity.WRITES_NOTHING);
    try (TestServer server = TestServer.start(Transport.TCP)) {
      RawResponse failed = server.get("/gpu/get_power?gpu_ids=0");
      assertEquals(500, failed.status());
      assertTrue(failed.body().contains("which is no value"), failed.body());
      server.get("/gpu/get_power?gpu_ids=1").assertOkMatching(POWER.formatted("\"1\":85000"));
    }
  }

  @Test
  void discoversThatThereIsNothing() throws IOException {
    nvml.deviceCount(0);
    try (TestServer server = TestServer.start(Transport.TCP, 20, Set.of(), StreamFormat.SAMPLE)) {
      server
          .get("/discover")
          .assertOk(
              "{\"gpu_ids\":[],\"cpu_ids\":[],\"dram_available\":[],\"gpus\":[],\"cpus\":[],"
                  + "\"enabled_api_groups\":[],\"auth_required\":false,\"problems\":["
                  + "\"no GPUs by NVML, driver 575.57.08\","
                  + "\"no GPUs: neither gpu-read nor gpu-control is enabled on this daemon\","
                  + "\"no CPUs: cpu-read is not enabled on this daemon\"]}");
    }
  }

  @Test
  void discoversWhyThereIsNothingUntilThereIs(@TempDir Path raplDir) throws Exception {
    nvml.deviceCount(0);
    try (TestServer server = TestServer.startAll(Transport.UDS, raplDir)) {
      String nothing = server.get("/discover").body();
      assertTrue(nothing.contains("\"problems\":[\"no GPUs by NVML"), nothing);
      assertTrue(nothing.contains("no CPUs: no zone in " + raplDir), nothing);
      nvml.deviceCount(1);
      try (RaplTree tree = new RaplTree(raplDir)) {
        tree.zone(0, "package-0").energy(1_000_000);
        // It looks again, but not at once.
        Await.until("devices are discovered", () -> !discover(server).contains("problems"));
        String found = discover(server);
        assertTrue(found.startsWith("{\"gpu_ids\":[0],\"cpu_ids\":[0],"), found);
      }
    }
  }

  private static String discover(TestServer server) {
    try {
      return server.get("/discover").body();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @ParameterizedTest
  @EnumSource
  void tellsTheTimeWithNoReadings(Transport transport) throws IOException {
    nvml.deviceCount(0);
    try (TestServer server = TestServer.start(transport)) {
      long before = System.currentTimeMillis();
      Matcher power = server.get("/gpu/get_power").assertOkMatching(POWER.formatted(""));
      assertWithin(before, Long.parseLong(power.group(1)), System.currentTimeMillis());
    }
  }

  @ParameterizedTest
  @EnumSource
  void tellsTheTime(Transport transport) throws IOException {
    try (TestServer server = TestServer.start(transport)) {
      long before = System.currentTimeMillis();
      Matcher time = server.get("/time").assertOkMatching("\\{\"timestamp_ms\":(\\d{13})}");
      assertWithin(before, Long.parseLong(time.group(1)), System.currentTimeMillis());
    }
  }

  @ParameterizedTest
  @EnumSource
  void readsPower(Transport transport) throws IOException {
    nvml.gpu(0).powerMw(0);
    nvml.gpu(1).powerMw(0xFFFF_0000L);
    try (TestServer server = TestServer.start(transport)) {
      long before = System.currentTimeMillis();
      Matcher power =
          server
              .get("/gpu/get_power")
              .assertOkMatching(POWER.formatted("\"0\":0,\"1\":4294901760"));
      assertWithin(before, Long.parseLong(power.group(1)), System.currentTimeMillis());
    }
  }

  private static void assertWithin(long from, long value, long to) {
    assertTrue(from <= value && value <= to, () -> value + " is not in " + from + " to " + to);
  }

  @ParameterizedTest
  @EnumSource
  void readsEnergyAsUnsigned(Transport transport) throws IOException {
    nvml.gpu(0).energyMj(123456);
    nvml.gpu(1).energyMj(-1);
    try (TestServer server = TestServer.start(transport)) {
      server
          .get("/gpu/get_cumulative_energy")
          .assertOk("{\"0\":{\"energy_mj\":123456},\"1\":{\"energy_mj\":18446744073709551615}}");
      nvml.gpu(1).energyMj(Long.MIN_VALUE);
      server
          .get("/gpu/get_cumulative_energy?gpu_ids=1")
          .assertOk("{\"1\":{\"energy_mj\":9223372036854775808}}");
    }
  }

  @ParameterizedTest
  @EnumSource
  void readsSettings(Transport transport) throws IOException {
    nvml.gpu(0).powerLimitMw(200_000).powerLimits(100_000, 300_000, 350_000);
    nvml.gpu(0).persistenceMode(true);
    try (TestServer server = TestServer.start(transport)) {
      server
          .get("/gpu/get_power_limit")
          .assertOk("{\"0\":{\"power_limit_mw\":200000},\"1\":{\"power_limit_mw\":300000}}");
      server
          .get("/gpu/get_power_limit_constraints")
          .assertOk(
              "{\"0\":{\"min_power_limit_mw\":100000,\"max_power_limit_mw\":350000},"
                  + "\"1\":{\"min_power_limit_mw\":100000,\"max_power_limit_mw\":400000}}");
      server
          .get("/gpu/get_persistence_mode")
          .assertOk("{\"0\":{\"enabled\":true},\"1\":{\"enabled\":false}}");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "2,0",
        "0,2",
        "0,2,0,2,2",
        "%200%20,%202",
        "+0+,+2",
        "0%2C2",
        "%30,2",
        "00,002",
        "%09" + "0,2"
      })
  void takesIdsInAnyOrderAndSpelling(String ids) throws IOException {
    nvml.deviceCount(4);
    try (TestServer server = TestServer.start(Transport.TCP)) {
      long untouched = nvml.gpu(1).calls() + nvml.gpu(3).calls();
      server
          .get("/gpu/get_power?gpu_ids=" + ids)
          .assertOkMatching(POWER.formatted("\"0\":75000,\"2\":95000"));
      server
          .get("/gpu/get_power_limit?gpu_ids=" + ids)
          .assertOk("{\"0\":{\"power_limit_mw\":300000},\"2\":{\"power_limit_mw\":300000}}");
      assertEquals(untouched, nvml.gpu(1).calls() + nvml.gpu(3).calls());
      assertEquals(1, nvml.gpu(0).powerReads(), "a repeated id is read once");
    }
  }

  @Test
  void takesAnEmptyQuery() throws IOException {
    try (TestServer server = TestServer.start(Transport.TCP)) {
      server.get("/gpu/get_power?").assertOkMatching(POWER.formatted("\"0\":75000,\"1\":85000"));
    }
  }

  @Test
  void ordersMoreThanTenDevicesByNumber() throws IOException {
    nvml.deviceCount(12);
    for (int id = 0; id < 12; id++) {
      nvml.gpu(id).powerMw(id);
    }
    try (TestServer server = TestServer.start(Transport.UDS)) {
      server
          .get("/gpu/get_power?gpu_ids=11,10,2,9")
          .assertOkMatching(POWER.formatted("\"2\":2,\"9\":9,\"10\":10,\"11\":11"));
    }
  }

  @ParameterizedTest
  @CsvSource({"3, 4, 403", "4, 3, 403", "4, 10, 500", "10, 2, 500", "2, 3, 400"})
  void tellsEveryFailureWithTheWorstStatus(int first, int second, int status) throws IOException {
    nvml.deviceCount(4);
    try (TestServer server = TestServer.start(Transport.UDS)) {
      nvml.gpu(0).error(Call.GET_PERSISTENCE_MODE, first);
      nvml.gpu(2).error(Call.GET_PERSISTENCE_MODE, second);
      RawResponse response = server.get("/gpu/get_persistence_mode");
      assertEquals(status, response.status());
      assertTrue(
          response
              .body()
              .matches(
                  "\\{\"1\":\\{\"enabled\":false},\"3\":\\{\"enabled\":false},"
                      + "\"errors\":\\{\"0\":\"[^\"]+ \\(nvmlDeviceGetPersistenceMode:"
                      + " NVML_ERROR_\\w+\\)\",\"2\":\"[^\"]+ \\(nvmlDeviceGetPersistenceMode:"
                      + " NVML_ERROR_\\w+\\)\"}}"),
          response::body);
      for (int id = 0; id < 4; id++) {
        assertEquals(1, nvml.gpu(id).calls(Call.GET_PERSISTENCE_MODE), "GPU " + id);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void tellsWhatWasReadBesideWhatFailed(Transport transport) throws IOException {
    String lost = "\"errors\":\\{\"1\":\"[^\"]+\"}}";
    nvml.gpu(1).error(Call.GET_FIELD_VALUES, 999).error(Call.GET_POWER_USAGE, 999);
    nvml.gpu(1).error(Call.GET_TOTAL_ENERGY, 999).error(Call.GET_POWER_LIMIT, 999);
    nvml.gpu(1).error(Call.GET_POWER_LIMIT_CONSTRAINTS, 999);
    try (TestServer server = TestServer.start(transport)) {
      for (String[] expected :
          new String[][] {
            {"get_power", "\\{\"timestamp_ms\":\\d{13},\"power_mw\":\\{\"0\":75000},"},
            {"get_cumulative_energy", "\\{\"0\":\\{\"energy_mj\":\\d+},"},
            {"get_power_limit", "\\{\"0\":\\{\"power_limit_mw\":300000},"},
            {
              "get_power_limit_constraints",
              "\\{\"0\":\\{\"min_power_limit_mw\":100000,\"max_power_limit_mw\":400000},"
            }
          }) {
        RawResponse response = server.get("/gpu/" + expected[0]);
        assertEquals(500, response.status(), response::toString);
        assertTrue(response.body().matches(expected[1] + lost), response::body);
        String alone = server.get("/gpu/" + expected[0] + "?gpu_ids=1").body();
        assertTrue(alone.matches("\\{" + lost), alone);
      }
    }
  }

  @Test
  void fallsBackWhereInstantPowerIsMissing() throws IOException {
    nvml.gpu(0).instantPowerSupported(false);
    try (TestServer server = TestServer.start(Transport.TCP)) {
      server.get("/gpu/get_power").assertOkMatching(POWER.formatted("\"0\":75000,\"1\":85000"));
      server.get("/gpu/get_power").assertOkMatching(POWER.formatted("\"0\":75000,\"1\":85000"));
      assertTrue(nvml.gpu(0).calls(Call.GET_FIELD_VALUES) <= 3, "of each scope, and not each time");
      assertEquals(0, nvml.gpu(1).calls(Call.GET_POWER_USAGE));
    }
  }

  @Test
  void recoversFromAReloadOfTheDriver() throws IOException, InterruptedException {
    try (TestServer server = TestServer.start(Transport.TCP)) {
      server.get("/gpu/get_power_limit?gpu_ids=0").assertOk("{\"0\":{\"power_limit_mw\":300000}}");
      nvml.driverUnloaded(true);
      RawResponse failed = server.get("/gpu/get_power_limit");
      assertEquals(500, failed.status());
      assertTrue(failed.body().startsWith("{\"errors\":{\"0\":\""), failed::body);
      nvml.driverUnloaded(false);
      Await.until("it has recovered", () -> server.get("/gpu/get_power_limit").status() == 200);
    }
  }
}
