package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.util.EnumSet;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** How GPUs are doing, and their power limit back at its default; down to the driver's calls. */
@Timeout(60)
class TelemetryTest {
  private final FakeNvml nvml = TestServer.freshNvml();

  @BeforeEach
  void twoGpus() {
    nvml.deviceCount(2);
  }

  @ParameterizedTest
  @EnumSource
  void tellsAllThatTheDriverTells(Transport transport) throws IOException {
    nvml.gpu(1)
        .temperaturesC(61, 72)
        .clocksMhz(1234, 987)
        .utilizationPct(34, 56)
        .memoryBytes(5_000_000_001L, 80L << 30, 77)
        .clocksEventReasons(4 | 32)
        .performanceState(2)
        .powerLimitMw(250_000)
        .outsidePowerLimitMw(180_000);
    try (TestServer server = TestServer.start(transport)) {
      server
          .get("/gpu/get_telemetry?gpu_ids=1")
          .assertOk(
              "{\"1\":{\"temperature_c\":61,\"memory_temperature_c\":72,\"sm_clock_mhz\":1234,"
                  + "\"mem_clock_mhz\":987,\"gpu_utilization_pct\":34,\"mem_utilization_pct\":56,"
                  + "\"memory_used_bytes\":5000000001,\"memory_total_bytes\":85899345920,"
                  + "\"power_limit_mw\":250000,\"enforced_power_limit_mw\":180000,"
                  + "\"default_power_limit_mw\":300000,\"performance_state\":2,"
                  + "\"throttle_reasons\":[\"sw_power_cap\",\"sw_thermal_slowdown\"]}}");
      assertTrue(
          server.get("/gpu/get_telemetry").body().startsWith("{\"0\":{\"temperature_c\":40,"));
    }
  }

  @Test
  void whatTheDriverDoesNotTellIsNull() throws IOException {
    nvml.gpu(0)
        .memoryTemperatureReturn(3)
        .error(Call.GET_TEMPERATURE_V, 3)
        .error(Call.GET_TEMPERATURE, 3)
        .error(Call.GET_CLOCK, 13)
        .error(Call.GET_UTILIZATION, 3)
        .error(Call.GET_MEMORY, 25)
        .error(Call.GET_EVENT_REASONS, 3)
        .error(Call.GET_THROTTLE_REASONS, 3)
        .error(Call.GET_ENFORCED_POWER_LIMIT, 999)
        .error(Call.GET_DEFAULT_POWER_LIMIT, 4)
        .performanceState(32);
    try (TestServer server = TestServer.start(Transport.UDS)) {
      server
          .get("/gpu/get_telemetry?gpu_ids=0")
          .assertOk(
              "{\"0\":{\"temperature_c\":null,\"memory_temperature_c\":null,\"sm_clock_mhz\":null,"
                  + "\"mem_clock_mhz\":null,\"gpu_utilization_pct\":null,"
                  + "\"mem_utilization_pct\":null,\"memory_used_bytes\":null,"
                  + "\"memory_total_bytes\":null,\"power_limit_mw\":300000,"
                  + "\"enforced_power_limit_mw\":null,\"default_power_limit_mw\":null,"
                  + "\"performance_state\":null,\"throttle_reasons\":null}}");
    }
  }

  @Test
  void aGpuThatTellsNothingFailsByItself() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      nvml.gpu(0).allErrors(999);
      RawResponse failed = server.get("/gpu/get_telemetry");
      assertEquals(500, failed.status());
      assertTrue(failed.body().contains("{\"1\":{\"temperature_c\":41,"), failed.body());
      assertTrue(failed.body().contains("\"errors\":{\"0\":\"reading the temp"), failed.body());
    }
  }

  @Test
  void aLostGpuIsAskedOnlyOnceByEachRequest() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      server.get("/gpu/get_telemetry");
      nvml.gpu(0).allErrors(15);
      long before = nvml.gpu(0).calls();
      assertEquals(500, server.get("/gpu/get_telemetry").status());
      assertTrue(nvml.gpu(0).calls() - before < 8, "calls " + (nvml.gpu(0).calls() - before));
    }
  }

  private TestServer startControl() throws IOException {
    return TestServer.start(
        Transport.UDS, EnumSet.of(ApiGroup.GPU_CONTROL, ApiGroup.GPU_READ), Optional.empty());
  }

  @Test
  void theDefaultIsTheDevicesOwn() throws IOException {
    nvml.gpu(0).powerLimits(100_000, 310_000, 400_000).powerLimitMw(200_000);
    nvml.gpu(1).powerLimits(100_000, 320_000, 400_000).powerLimitMw(200_000);
    try (TestServer server = startControl()) {
      assertEquals(200, server.post("/gpu/reset_power_limit?gpu_ids=0,1&block=true").status());
      assertEquals(310_000, nvml.gpu(0).powerLimitMw());
      assertEquals(320_000, nvml.gpu(1).powerLimitMw());
    }
  }

  @Test
  void aDefaultThatIsNotToldIsAnErrorOfItsDevice() throws IOException {
    nvml.gpu(0).powerLimitMw(200_000).error(Call.GET_DEFAULT_POWER_LIMIT, 3);
    nvml.gpu(1).powerLimitMw(200_000);
    try (TestServer server = startControl()) {
      RawResponse failed = server.post("/gpu/reset_power_limit?gpu_ids=0,1&block=true");
      assertEquals(400, failed.status());
      assertTrue(failed.body().contains("reading the default power limit"), failed.body());
      assertEquals(200_000, nvml.gpu(0).powerLimitMw());
      assertEquals(300_000, nvml.gpu(1).powerLimitMw());
      assertEquals(400, server.post("/gpu/reset_power_limit?gpu_ids=0").status());
    }
  }

  @Test
  void theSimulatedNodeHasThem() throws IOException {
    Node node =
        Node.open(
            NodeConfig.defaults()
                .withGpuBackend(GpuBackend.SIMULATED)
                .withCpuBackend(CpuBackend.NONE));
    try (node;
        TestServer server = TestServer.startOn(Transport.UDS, node)) {
      String telemetry = server.get("/gpu/get_telemetry").body();
      assertTrue(telemetry.contains("\"memory_total_bytes\":85899345920"), telemetry);
      assertTrue(!telemetry.contains("null"), telemetry);
    }
  }
}
