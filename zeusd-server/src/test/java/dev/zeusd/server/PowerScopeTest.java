package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.EventStream.Sample;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Power and limits of the GPU, and of the module that carries it (Grace Hopper). */
@Timeout(60)
class PowerScopeTest {
  private static final String STREAM = "/gpu/stream_power";
  private static final Set<ApiGroup> BOTH = Set.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL);

  private final FakeNvml nvml = TestServer.freshNvml();

  /** The last one tells its module's power only. */
  @BeforeEach
  void aPlainGpuAndTwoModules() {
    nvml.deviceCount(3);
    nvml.gpu(1).moduleScope(true).moduleExtraMw(200_000);
    nvml.gpu(2).moduleScope(true).moduleExtraMw(300_000).instantPowerReturn(3);
  }

  @ParameterizedTest
  @EnumSource
  void aStreamTellsTheScopeThatIsAskedForAndTheDefaultIsAsEver(Transport transport)
      throws IOException {
    try (TestServer server = TestServer.start(transport);
        EventStream plain = server.stream(STREAM + "?gpu_ids=1");
        EventStream gpu = server.stream(STREAM + "?gpu_ids=1&scope=gpu");
        EventStream module = server.stream(STREAM + "?gpu_ids=1,2&scope=module&format=snapshot");
        EventStream onlyModule = server.stream(STREAM + "?gpu_ids=2")) {
      assertEquals(85_000, plain.nextSample().powerMw());
      assertEquals(85_000, gpu.nextSample().powerMw());
      assertEquals(Map.of(1, 285_000L, 2, 395_000L), module.nextSnapshot().powerMw());
      assertEquals(395_000, onlyModule.nextSample().powerMw());
      nvml.gpu(1).powerMw(40_000);
      assertEquals(40_000, next(plain, 85_000));
      assertEquals(40_000, next(gpu, 85_000));
      while (module.nextSnapshot().powerMw().get(1) != 240_000) {
        // The one before, which another GPU's news may bring once more.
      }
    }
  }

  private static long next(EventStream stream, long after) throws IOException {
    Sample sample = stream.nextSample();
    return sample.powerMw() == after ? next(stream, after) : sample.powerMw();
  }

  @Test
  void theModuleIsReadWhileSomebodyAsksAndNoLonger() throws Exception {
    try (TestServer server = TestServer.start(Transport.UDS, 50)) {
      // To find out what the GPU has, once.
      long before = reads(285_000);
      try (EventStream plain = server.stream(STREAM + "?gpu_ids=1")) {
        plain.nextSample();
        long read = reads(85_000);
        Await.until("it is read on", () -> reads(85_000) > read + 5);
        assertEquals(before, reads(285_000), "nobody asked for the module");
        try (EventStream module = server.stream(STREAM + "?gpu_ids=1&scope=module")) {
          assertEquals(285_000, module.nextSample().powerMw());
          Await.until("it is read on", () -> reads(285_000) > before + 5);
        }
        Await.still("it is left alone", () -> reads(285_000), 10, () -> reads(85_000));
      }
      Await.rest();
    }
  }

  private long reads(long powerMw) {
    return nvml.history().stream()
        .filter(call -> call.device() == 1 && call.call() == Call.GET_FIELD_VALUES)
        .filter(call -> call.b() == powerMw)
        .count();
  }

  @ParameterizedTest
  @ValueSource(strings = {"/gpu/stream_power", "/gpu/get_power", "/gpu/get_power_limit"})
  void whatAGpuCannotTellIsRefusedBeforeAnythingElse(String path) throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      RawResponse refused = server.get(path + "?gpu_ids=0,1&scope=module");
      assertEquals(400, refused.status());
      assertTrue(refused.body().contains("\"0\":\""), refused.body());
      RawResponse unknown = server.get(path + "?scope=board");
      assertEquals(400, unknown.status());
      assertTrue(unknown.body().contains("'board' is not gpu or module"), unknown.body());
    }
  }

  @Test
  void aStreamOfTheGpuAloneIsRefusedWhereOnlyTheModuleTells() throws IOException {
    try (TestServer server = TestServer.start(Transport.TCP)) {
      RawResponse refused = server.get(STREAM + "?gpu_ids=1,2&scope=gpu");
      assertEquals(400, refused.status());
      assertTrue(
          refused.body().contains("\"2\":\"this GPU does not tell the power of the GPU alone"),
          refused.body());
    }
  }

  @Test
  void cpusHaveNoScopes() throws IOException {
    try (TestServer server =
        TestServer.start(Transport.UDS, 20, Set.of(ApiGroup.CPU_READ), StreamFormat.SAMPLE)) {
      assertEquals(400, server.get("/cpu/stream_power?scope=gpu").status());
    }
  }

  @Test
  void oneThatFailsOpensTheStreamAndComesBack() throws IOException {
    nvml.gpu(1).powerError(999);
    try (TestServer server = TestServer.start(Transport.UDS);
        EventStream module = server.stream(STREAM + "?gpu_ids=1,2&scope=module")) {
      assertEquals(395_000, module.nextSample().powerMw());
      nvml.gpu(1).powerError(0);
      Sample back = module.nextSample();
      assertEquals(1, back.gpuId());
      assertEquals(285_000, back.powerMw());
    }
  }

  private static void post(TestServer server, int status, String target) throws IOException {
    try (RawConnection connection = server.connect()) {
      RawResponse response = connection.send(RawConnection.request("POST", target)).readResponse();
      assertEquals(status, response.status(), response::body);
    }
  }

  @ParameterizedTest
  @EnumSource
  void theLimitOfTheModuleIsSetAndResetByItself(Transport transport) throws IOException {
    String set = "/gpu/set_power_limit?block=true&gpu_ids=1&power_limit_mw=";
    try (TestServer server = TestServer.start(transport, BOTH, Optional.empty())) {
      post(server, 200, set + "800000&scope=module");
      assertEquals(800_000, nvml.gpu(1).modulePowerLimitMw());
      assertEquals(300_000, nvml.gpu(1).powerLimitMw());
      post(server, 200, set + "250000&scope=gpu");
      post(server, 400, set + "800000&scope=gpu");
      post(server, 400, set + "150000&scope=module");
      assertEquals(800_000, nvml.gpu(1).modulePowerLimitMw());
      assertEquals(250_000, nvml.gpu(1).powerLimitMw());
      post(server, 200, "/gpu/reset_power_limit?block=true&gpu_ids=1&scope=module");
      assertEquals(900_000, nvml.gpu(1).modulePowerLimitMw());
      assertEquals(250_000, nvml.gpu(1).powerLimitMw());
    }
  }

  @Test
  void aModuleThatThereIsNotIsRefusedForItselfAlone() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS, BOTH, Optional.empty())) {
      String set = "/gpu/set_power_limit?block=true&gpu_ids=0,1&power_limit_mw=";
      post(server, 400, set + "700000&scope=module");
      assertEquals(700_000, nvml.gpu(1).modulePowerLimitMw());
      assertEquals(300_000, nvml.gpu(0).powerLimitMw());
      assertEquals(0, nvml.gpu(0).calls(Call.SET_POWER_LIMIT_OF_SCOPE));
      post(server, 400, "/gpu/reset_power_limit?block=true&gpu_ids=0&scope=module");
      post(server, 400, "/lease?gpu_ids=0&keys=module_power_limit&ttl_s=10");
      post(server, 201, "/lease?gpu_ids=1&keys=module_power_limit&ttl_s=10");
      // It is that of the module that is held, and of no GPU.
      post(server, 423, set + "700000&scope=module");
      post(server, 200, set + "200000");
      assertEquals(200_000, nvml.gpu(1).powerLimitMw());
    }
  }

  @Test
  void limitsOfTheModuleAreItsOwn() throws IOException {
    nvml.gpu(1).modulePowerLimitMw(800_000).modulePowerLimits(250_000, 900_000, 1_000_000);
    try (TestServer server = TestServer.start(Transport.UDS)) {
      server.get("/gpu/get_power_limit?gpu_ids=1").assertOk("{\"1\":{\"power_limit_mw\":300000}}");
      server
          .get("/gpu/get_power_limit?gpu_ids=1&scope=gpu")
          .assertOk("{\"1\":{\"power_limit_mw\":300000}}");
      server
          .get("/gpu/get_power_limit?gpu_ids=1&scope=module")
          .assertOk("{\"1\":{\"power_limit_mw\":800000}}");
      server
          .get("/gpu/get_power_limit_constraints?gpu_ids=1&scope=module")
          .assertOk("{\"1\":{\"min_power_limit_mw\":250000,\"max_power_limit_mw\":1000000}}");
    }
  }
}
