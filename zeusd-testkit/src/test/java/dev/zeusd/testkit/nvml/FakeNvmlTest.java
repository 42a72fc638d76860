package dev.zeusd.testkit.nvml;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.NodeException;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A driver of a test's own, in a JVM that knows nothing of it. */
class FakeNvmlTest {
  @TempDir Path folder;

  private static Node open(Path driverDir) {
    return Node.open(
        NodeConfig.defaults()
            .withGpuBackend(GpuBackend.NVML)
            .withDriverDir(driverDir)
            .withCpuBackend(CpuBackend.NONE));
  }

  private static long powerMw(Node node, int gpu) {
    return node.gpus().get(gpu).call(device -> device.powerMw());
  }

  @Test
  void theDriverDoesWhatTheTestSays() {
    FakeNvml nvml = FakeNvml.load().deviceCount(2);
    nvml.gpu(1).powerMw(123_456);
    try (Node node = open(nvml.directory())) {
      assertEquals(2, node.gpus().size());
      assertEquals(75_000, powerMw(node, 0));
      assertEquals(123_456, powerMw(node, 1));
      assertEquals(1, nvml.gpu(1).powerReads());
      assertEquals(0, nvml.calls(Call.SET_POWER_LIMIT));
      node.gpus()
          .get(0)
          .call(
              gpu -> {
                gpu.setPowerLimit(250_000);
                return true;
              });
      assertEquals(250_000, nvml.gpu(0).powerLimitMw());
      nvml.gpu(0).allErrors(999);
      assertThrows(DeviceException.Failed.class, () -> powerMw(node, 0));
    }
  }

  @Test
  void twoDriversInAProcessHaveNothingInCommon() {
    FakeNvml first = FakeNvml.load();
    FakeNvml second = FakeNvml.load().deviceCount(1);
    second.gpu(0).powerMw(50_000);
    try (Node one = open(first.directory());
        Node other = open(second.directory())) {
      assertEquals(4, one.gpus().size());
      assertEquals(1, other.gpus().size());
      assertEquals(75_000, powerMw(one, 0));
      assertEquals(50_000, powerMw(other, 0));
      assertEquals(1, first.gpu(0).powerReads());
      assertEquals(1, second.gpu(0).powerReads());
    }
  }

  /** Many GPUs that nobody uses take up to 20 s. */
  @Test
  void whoAsksForGpusWaitsForADriverThatTakesItsTime() {
    FakeNvml nvml = FakeNvml.load().delay(Call.INIT, Duration.ofSeconds(4));
    NodeConfig config =
        NodeConfig.defaults().withDriverDir(nvml.directory()).withCpuBackend(CpuBackend.NONE);
    try (Node node = Node.open(config)) {
      assertEquals(75_000, node.gpu(0).powerMw());
    }
  }

  @Test
  void anOldDriverLacksFunctions() {
    FakeNvmlLibrary.buildWithout(Set.of("nvmlDeviceGetTotalEnergyConsumption"), folder);
    FakeNvml.create(folder.resolve("libnvidia-ml.so.1.state"));
    try (Node node = open(folder)) {
      assertEquals(75_000, powerMw(node, 0));
      assertThrows(
          DeviceException.NotSupported.class, () -> node.gpus().get(0).call(gpu -> gpu.energyMj()));
    }
  }

  @Test
  void aFolderWithoutADriverIsSaidToHaveNone() {
    NodeException none = assertThrows(NodeException.class, () -> open(folder));
    assertTrue(none.getMessage().contains("there is none in " + folder), none::getMessage);
  }
}
