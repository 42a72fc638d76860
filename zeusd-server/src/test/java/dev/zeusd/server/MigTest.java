package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.testkit.nvml.FakeGpu.MigMode;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** GPUs that are partitioned: the whole one keeps its id, and instances are told below it. */
@Timeout(60)
class MigTest {
  private static final String UUID = "MIG-11111111-aaaa-5555-9999-000000000001";
  private static final String IDENTITY =
      "{\"index\":3,\"name\":\"NVIDIA Fake GPU MIG 1g.10gb\",\"uuid\":\""
          + UUID
          + "\",\"gpu_instance_id\":7,\"compute_instance_id\":0";
  private static final String PARENT =
      "{gpu=\"1\",gpu_uuid=\"GPU-fa4e0000-0000-4000-8000-000000000001\",pci_bus_id=\"0000:27:00.0\"";
  private static final String INSTANCE =
      "compute_instance_id=\"0\",gpu=\"1\",gpu_instance_id=\"7\","
          + "gpu_uuid=\"GPU-fa4e0000-0000-4000-8000-000000000001\",mig_index=\"3\",mig_uuid=\""
          + UUID
          + "\"";

  private final FakeNvml nvml = TestServer.freshNvml();

  @BeforeEach
  void threeGpusOfWhichTheSecondIsPartitioned() {
    nvml.deviceCount(3);
    nvml.gpu(1).migMode(MigMode.ON);
    nvml.gpu(1).instance(3).create(UUID, 7, 0).memoryBytes(5, 10_000);
    nvml.gpu(2).migMode(MigMode.OFF);
  }

  @Test
  void idsAreThoseOfWholeGpusAndInstancesAreBelowTheirs() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      String discovered = server.get("/discover").body();
      assertTrue(discovered.startsWith("{\"gpu_ids\":[0,1,2],"), discovered);
      assertTrue(
          discovered.contains("\"mig_instances\":[" + IDENTITY + "}]},{\"id\":2,"), discovered);
      assertEquals(2, discovered.split("mig_instances").length, "those of one GPU");
      server
          .get("/gpu/get_power")
          .assertOkMatching(
              "\\{\"timestamp_ms\":\\d{13},\"power_mw\":\\{\"0\":75000,\"1\":85000,\"2\":95000}}");
      assertEquals(400, server.get("/gpu/get_power?gpu_ids=" + UUID).status());
    }
  }

  @Test
  void whatAnInstanceCannotTellIsNullAndTheWholeGpuTellsTheRest() throws IOException {
    nvml.gpu(1).instance(5).create("MIG-gone", 8, 0).error(999);
    try (TestServer server = TestServer.start(Transport.TCP)) {
      String telemetry = server.get("/gpu/get_telemetry?gpu_ids=1,2").body();
      assertTrue(
          telemetry.startsWith(
              "{\"1\":{\"temperature_c\":41,\"memory_temperature_c\":49,\"sm_clock_mhz\":1980,"
                  + "\"mem_clock_mhz\":2619,\"gpu_utilization_pct\":null,"
                  + "\"mem_utilization_pct\":null,\"memory_used_bytes\":21474836480,"),
          telemetry);
      String nulls =
          "\"temperature_c\":null,\"memory_temperature_c\":null,\"sm_clock_mhz\":null,"
              + "\"mem_clock_mhz\":null,\"gpu_utilization_pct\":null,\"mem_utilization_pct\":null,";
      String others =
          "\"power_limit_mw\":null,\"enforced_power_limit_mw\":null,"
              + "\"default_power_limit_mw\":null,\"performance_state\":null,"
              + "\"throttle_reasons\":null}";
      assertTrue(
          telemetry.contains(
              "\"throttle_reasons\":[],\"mig_instances\":["
                  + IDENTITY
                  + ","
                  + nulls
                  + "\"memory_used_bytes\":5,\"memory_total_bytes\":10000,"
                  + others
                  + ",{\"index\":5,\"name\":null,\"uuid\":null,\"gpu_instance_id\":null,"
                  + "\"compute_instance_id\":null,"
                  + nulls
                  + "\"memory_used_bytes\":null,\"memory_total_bytes\":null,"
                  + others
                  + "]},\"2\":{"),
          telemetry);
      assertTrue(telemetry.endsWith("\"throttle_reasons\":[]}}"), "GPU 2 is whole: " + telemetry);
      nvml.gpu(1).instance(3).destroy();
      nvml.gpu(1).instance(5).destroy();
      telemetry = server.get("/gpu/get_telemetry?gpu_ids=1").body();
      assertTrue(telemetry.endsWith(",\"mig_instances\":[]}}"), telemetry);
      assertTrue(server.get("/discover").body().contains("\"mig_instances\":[]}"));
    }
  }

  @Test
  void metricsTellInstancesApartFromWholeGpus() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      String text = server.get("/metrics").body();
      assertTrue(
          text.contains("\nzeusd_gpu_memory_used_bytes" + PARENT + "} 2.147483648E10\n"), text);
      assertTrue(text.contains("\nzeusd_gpu_power_limit_watts" + PARENT + "} 300.0\n"), text);
      assertTrue(
          text.contains(
              "\nzeusd_mig_instance_memory_used_bytes{"
                  + INSTANCE
                  + ",pci_bus_id=\"0000:27:00.0\"} 5.0\n"),
          text);
      assertTrue(
          text.contains(
              "\nzeusd_mig_instance_info{"
                  + INSTANCE
                  + ",name=\"NVIDIA Fake GPU MIG 1g.10gb\",pci_bus_id=\"0000:27:00.0\"} 1\n"),
          text);
      assertEquals(1, count("\nzeusd_mig_instance_memory_total_bytes{", text));
      assertEquals(3, count("\nzeusd_gpu_memory_total_bytes{", text));
      assertFalse(text.contains("zeusd_gpu_utilization_ratio" + PARENT), text);
    }
  }

  @Test
  void dashboardsOfDcgmSeeTheMemoryOfEachInstanceAndThePowerOfTheWholeGpu() throws IOException {
    // A second compute instance of the same GPU instance, and another GPU instance.
    nvml.gpu(1).instance(4).create("MIG-4", 7, 1).memoryBytes(5, 10_000);
    nvml.gpu(1).instance(5).create("MIG-5", 9, 0).memoryBytes(3L << 20, 10L << 20);
    try (TestServer server = TestServer.start(Transport.UDS)) {
      String text = server.get("/metrics?names=dcgm").body();
      List<String> memory =
          text.lines()
              .filter(line -> line.matches("DCGM_FI_DEV_FB_(USED|FREE)\\{.*gpu=\"1\".*"))
              .map(
                  line -> line.replaceAll("\\{.*(GPU_I_ID=.*,GPU_I_PROFILE=\"[^\"]*\").*}", "{$1}"))
              .toList();
      assertEquals(4, memory.size(), memory::toString);
      assertTrue(
          memory.contains("DCGM_FI_DEV_FB_USED{GPU_I_ID=\"9\",GPU_I_PROFILE=\"1g.10gb\"} 3.0"),
          memory::toString);
      assertTrue(
          memory.contains("DCGM_FI_DEV_FB_FREE{GPU_I_ID=\"9\",GPU_I_PROFILE=\"1g.10gb\"} 7.0"),
          memory::toString);
      assertEquals(3, count("\nDCGM_FI_DEV_POWER_USAGE{", text), "one for each whole GPU");
      assertEquals(4, count("GPU_I_ID", text), "two of each of two GPU instances");
    }
  }

  private static int count(String part, String text) {
    return text.split(Pattern.quote(part), -1).length - 1;
  }

  @Test
  void aGpuThatCannotBePartitionedIsAskedOnceAndAWholeOneIsTheSameAsEver() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      long asked = nvml.gpu(0).calls(Call.GET_MIG_MODE);
      for (int i = 0; i < 3; i++) {
        server.get("/gpu/get_telemetry");
      }
      assertEquals(1, asked);
      assertEquals(asked, nvml.gpu(0).calls(Call.GET_MIG_MODE));
      assertEquals(0, nvml.gpu(0).calls(Call.GET_MAX_MIG_DEVICE_COUNT));
      assertEquals(0, nvml.gpu(2).calls(Call.GET_MAX_MIG_DEVICE_COUNT));
      nvml.gpu(1).error(Call.GET_MIG_MODE, 999);
      String telemetry = server.get("/gpu/get_telemetry?gpu_ids=1").body();
      assertTrue(telemetry.startsWith("{\"1\":{\"temperature_c\":41,"), telemetry);
      assertFalse(telemetry.contains("mig_instances"), telemetry);
    }
  }
}
