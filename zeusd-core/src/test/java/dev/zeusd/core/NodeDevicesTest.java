package dev.zeusd.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.energy.WindowEnergy;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseException;
import dev.zeusd.testkit.SimulatedDevices;
import dev.zeusd.testkit.TestClock;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** What embedders ask GPUs and CPUs by, without knowing of threads. */
@Timeout(60)
class NodeDevicesTest {
  private final TestClock clock = new TestClock();
  private final Node node = SimulatedDevices.node(clock, 7);

  @AfterEach
  void close() {
    node.close();
  }

  /** Its kind by itself, which says the least of all. */
  private static String failure(Executable question) {
    return assertThrows(NodeException.class, question).getMessage();
  }

  @Test
  void gpusAreAsked() {
    assertEquals(List.of(0, 1, 2, 3), node.eachGpu().stream().map(NodeGpu::id).toList());
    NodeGpu gpu = node.gpu(0);
    assertEquals("Simulated GPU", gpu.info().name());
    assertEquals(700_000, gpu.powerLimitMw());
    assertEquals(200_000, gpu.powerLimitConstraints().minPowerLimitMw());
    long beforeMj = gpu.energyMj();
    clock.advance(Duration.ofSeconds(1));
    assertEquals(gpu.powerMw(), gpu.energyMj() - beforeMj, 0.05 * gpu.powerMw());
    assertTrue(gpu.telemetry().readings().size() > 5);
    assertEquals(700_000L, gpu.read(Gpu::defaultPowerLimitMw));
  }

  @Test
  void cpusAreAsked() throws Exception {
    assertEquals(List.of(0, 1), node.eachCpu().stream().map(NodeCpu::id).toList());
    NodeCpu cpu = node.cpu(0);
    assertTrue(cpu.info().dramAvailable());
    long beforeUj = cpu.energyUj();
    // Its power is the energy of some time, which somebody else has to let pass.
    AtomicBoolean isKnown = new AtomicBoolean();
    Thread time =
        Thread.ofVirtual()
            .start(
                () -> {
                  while (!isKnown.get()) {
                    clock.advance(Duration.ofMillis(10));
                  }
                });
    long powerMw = cpu.powerMw();
    isKnown.set(true);
    time.join();
    assertTrue(powerMw > 55_000 && powerMw < 250_000, () -> powerMw + " mW");
    assertTrue(cpu.energyUj() > beforeUj);
    assertTrue(cpu.energy().dramEnergyUj().orElseThrow() > 0);
  }

  @Test
  void aPowerLimitLastsUntilTheEndOfTheBlock() {
    NodeGpu gpu = node.gpu(1);
    try (Lease limit = gpu.limitPower(250_000);
        Lease clocks = gpu.lockGpuClocks(300, 900)) {
      assertEquals(250_000, gpu.powerLimitMw());
      clock.advance(Duration.ofHours(1));
      assertEquals(250_000, gpu.powerLimitMw());
      assertEquals(1, limit.settings().size());
      assertEquals(1, clocks.settings().size());
      // A second one of the same GPU has to wait.
      LeaseException.Held held =
          assertThrows(LeaseException.Held.class, () -> gpu.limitPower(300_000));
      assertTrue(held.getMessage().contains("power_limit of GPU 1"), held::getMessage);
      assertEquals(700_000, node.gpu(0).powerLimitMw());
    }
    assertEquals(700_000, gpu.powerLimitMw());
    assertEquals(List.of(), node.leases().list());
  }

  @Test
  void aLimitThatIsRefusedLeavesNoLease() {
    NodeGpu gpu = node.gpu(0);
    assertTrue(failure(() -> gpu.limitPower(100)).contains("200000 to 700000"));
    assertEquals(700_000, gpu.powerLimitMw());
    assertEquals(List.of(), node.leases().list());
    gpu.limitPower(200_000).close();
  }

  @Test
  void theEnergyOfABlockIsMeasured() throws Exception {
    long beforeMj = node.gpu(3).energyMj();
    WindowEnergy all = node.energyOf(() -> clock.advance(Duration.ofSeconds(30)));
    assertEquals(Set.of(0, 1, 2, 3), all.gpus().keySet());
    assertEquals(Set.of(0, 1), all.cpus().keySet());
    assertEquals(Duration.ofSeconds(30), all.elapsed());
    assertEquals(node.gpu(3).energyMj() - beforeMj, all.gpus().get(3).energyMj(), 1);
    WindowEnergy one = node.gpu(3).energyOf(() -> clock.advance(Duration.ofSeconds(1)));
    assertEquals(Set.of(3), one.gpus().keySet());
    assertEquals(Set.of(), one.cpus().keySet());
    WindowEnergy cpu = node.cpu(1).energyOf(() -> clock.advance(Duration.ofSeconds(1)));
    assertEquals(Set.of(1), cpu.cpus().keySet());
    assertEquals(cpu.cpus().get(1).joules(), cpu.totalJoules());
  }

  @Test
  void whatABlockThrowsIsPassedOnAndEndsTheWindow() {
    IOException mine = new IOException("mine");
    IOException thrown =
        assertThrows(
            IOException.class,
            () ->
                node.energyOf(
                    () -> {
                      throw mine;
                    }));
    assertEquals(mine, thrown);
    assertEquals(List.of(), node.energy().list());
  }

  @Test
  void allFailuresAreOfOneKind() {
    assertEquals("there is no GPU 4: there are [0, 1, 2, 3]", failure(() -> node.gpu(4)));
    assertEquals("there is no CPU 2: there are [0, 1]", failure(() -> node.cpu(2)));
    NodeGpu gpu = node.gpu(0);
    NodeCpu cpu = node.cpu(0);
    node.close();
    failure(gpu::powerMw);
    failure(gpu::telemetry);
    failure(() -> gpu.limitPower(300_000));
    failure(() -> gpu.energyOf(() -> {}));
    failure(cpu::power);
    failure(cpu::energyUj);
    failure(() -> node.energyOf(() -> {}));
    failure(() -> node.lease(List.of(0), Set.of()));
  }

  /** The device's own exception comes through as it is, whoever asks on which thread. */
  @Test
  void aDevicesFailureIsTheDevicesException() {
    Gpu silent =
        new Gpu() {
          @Override
          public GpuInfo info() {
            return GpuInfo.unknown(0);
          }

          @Override
          public long powerMw() {
            throw new DeviceException.Failed("it burns");
          }
        };
    NodeConfig none =
        NodeConfig.defaults().withGpuBackend(GpuBackend.NONE).withCpuBackend(CpuBackend.NONE);
    try (Node burning = Node.of(none, List.of(Backend.of(List.of(silent))), List.of())) {
      assertEquals("it burns", failure(() -> burning.gpu(0).powerMw()));
      assertThrows(DeviceException.Failed.class, () -> burning.gpu(0).powerMw());
      assertThrows(DeviceException.NotSupported.class, () -> burning.gpu(0).energyMj());
      // Without a UUID it cannot be known again, so nothing can be put back.
      assertThrows(LeaseException.Unreadable.class, () -> burning.gpu(0).limitPower(1));
      assertEquals("there is no CPU 0", failure(() -> burning.cpu(0)));
    }
  }
}
