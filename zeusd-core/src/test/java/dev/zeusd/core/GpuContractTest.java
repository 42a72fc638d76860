package dev.zeusd.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.OfInstance;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.Subscription;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseException;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.core.worker.DeviceWorker;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What every backend of GPUs promises, whatever library is behind it. */
@Timeout(120)
class GpuContractTest {
  private static final NodeConfig NOTHING =
      NodeConfig.defaults().withGpuBackend(GpuBackend.NONE).withCpuBackend(CpuBackend.NONE);
  private static final Duration LONG = Duration.ofSeconds(20);

  private static Node open(GpuRig rig) {
    return Node.of(NOTHING, List.of(rig.open()), List.of());
  }

  private static boolean works(DeviceWorker<Gpu> gpu) {
    try {
      return gpu.call(Gpu::powerMw) > 0;
    } catch (DeviceException e) {
      return false;
    }
  }

  @ParameterizedTest
  @EnumSource
  void gpusSayWhatTheyAreAndAreRead(GpuRig rig) {
    try (Node node = open(rig)) {
      assertTrue(node.gpus().size() >= 2);
      Set<String> uuids = new HashSet<>();
      for (int id = 0; id < node.gpus().size(); id++) {
        DeviceWorker<Gpu> gpu = node.gpus().get(id);
        GpuInfo info = gpu.device().info();
        assertEquals(id, info.id());
        assertFalse(info.name().equals("unknown"));
        String pci = info.pciAddress().orElseThrow();
        assertTrue(pci.matches("[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]"), pci);
        assertEquals(true, info.cumulativeEnergyAvailable().orElseThrow());
        assertTrue(gpu.call(Gpu::powerMw) > 0);
        assertTrue(gpu.call(Gpu::energyMj) >= 0);
        assertEquals(rig.vendor, gpu.device().vendor().orElseThrow());
        if (rig.isMeterOnly()) {
          assertEquals(new GpuTelemetry(Map.of(), Optional.empty()), gpu.call(Gpu::telemetry));
          continue;
        }
        assertTrue(uuids.add(info.uuid().orElseThrow()), "a UUID of its own");
        PowerLimitConstraints limits = gpu.call(Gpu::powerLimitConstraints);
        long limit = gpu.call(Gpu::powerLimitMw);
        assertTrue(limits.minPowerLimitMw() <= limit && limit <= limits.maxPowerLimitMw());
        assertTrue(gpu.call(Gpu::defaultPowerLimitMw) <= limits.maxPowerLimitMw());
        assertEquals(limit, gpu.call(Gpu::telemetry).get(Reading.POWER_LIMIT_MW).orElseThrow());
        assertTrue(gpu.call(Gpu::telemetry).get(Reading.SM_CLOCK_MHZ).orElseThrow() > 0);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void aPartitionedGpuIsOneGpuAndItsInstancesAreBelowIt(GpuRig rig) {
    try (Node node = open(rig)) {
      OptionalInt partitioned = rig.partition();
      for (DeviceWorker<Gpu> gpu : node.gpus()) {
        GpuTelemetry told = gpu.call(Gpu::telemetry);
        assertEquals(gpu.id(), gpu.device().info().id());
        assertTrue(gpu.call(Gpu::powerMw) > 0);
        if (gpu.id() != partitioned.orElse(-1)) {
          assertEquals(Optional.empty(), told.migInstances());
          assertEquals(Optional.empty(), gpu.device().migInstances());
          continue;
        }
        assertTrue(told.get(Reading.GPU_UTILIZATION_PCT).isEmpty());
        assertTrue(told.get(Reading.TEMPERATURE_C).isPresent());
        List<OfInstance> instances = told.migInstances().orElseThrow();
        assertFalse(instances.isEmpty());
        assertEquals(
            Optional.of(instances.stream().map(OfInstance::instance).toList()),
            gpu.device().migInstances());
        for (OfInstance instance : instances) {
          assertTrue(instance.instance().uuid().orElseThrow().startsWith("MIG-"));
          assertTrue(instance.instance().name().orElseThrow().matches(".* MIG \\dg\\.\\d+gb"));
          assertEquals(
              Set.of(Reading.MEMORY_USED_BYTES, Reading.MEMORY_TOTAL_BYTES),
              instance.telemetry().readings().keySet());
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void theNumberThatToolsOfTheVendorHaveIsToldIfThereAreSuch(GpuRig rig) {
    try (Node node = open(rig)) {
      for (DeviceWorker<Gpu> gpu : node.gpus()) {
        if (rig.hasVendorTools()) {
          assertEquals(gpu.id(), gpu.call(Gpu::vendorIndex));
        } else {
          assertThrows(DeviceException.NotSupported.class, () -> gpu.call(Gpu::vendorIndex));
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void theEnergyGrowsAndNeverShrinks(GpuRig rig) throws Exception {
    try (Node node = open(rig)) {
      DeviceWorker<Gpu> gpu = node.gpus().getFirst();
      long first = gpu.call(Gpu::energyMj);
      Await.until("it grows", () -> gpu.call(Gpu::energyMj) > first);
    }
  }

  @ParameterizedTest
  @EnumSource
  void settingsAreSetAndWhatIsOutOfRangeIsRefusedWithTheRange(GpuRig rig) {
    assumeFalse(rig.isMeterOnly(), "there are no settings; see the next one");
    try (Node node = open(rig)) {
      DeviceWorker<Gpu> gpu = node.gpus().getFirst();
      PowerLimitConstraints limits = gpu.call(Gpu::powerLimitConstraints);
      long wanted = limits.minPowerLimitMw() + 1000;
      run(gpu, device -> device.setPowerLimit(wanted));
      assertEquals(wanted, gpu.call(Gpu::powerLimitMw));
      DeviceException refused =
          assertThrows(
              DeviceException.InvalidArgument.class,
              () -> run(gpu, device -> device.setPowerLimit(limits.maxPowerLimitMw() + 1000)));
      assertTrue(
          refused
              .getMessage()
              .contains(limits.minPowerLimitMw() + " to " + limits.maxPowerLimitMw() + " mW"),
          refused.getMessage());
      assertEquals(wanted, gpu.call(Gpu::powerLimitMw), "as it was");
      run(gpu, device -> device.setGpuLockedClocks(1000, 1200));
      assertTrue(gpu.call(Gpu::telemetry).get(Reading.SM_CLOCK_MHZ).orElseThrow() <= 1200);
      run(gpu, device -> device.setGpuLockedClocks(1400, 1500));
      run(gpu, device -> device.setGpuLockedClocks(500, 600));
      assertTrue(gpu.call(Gpu::telemetry).get(Reading.SM_CLOCK_MHZ).orElseThrow() <= 600);
      assertThrows(
          DeviceException.InvalidArgument.class,
          () -> run(gpu, device -> device.setGpuLockedClocks(1200, 1000)));
      run(gpu, device -> device.setMemLockedClocks(1000, 1100));
      run(gpu, Gpu::resetGpuLockedClocks);
      long memClockMhz = gpu.call(Gpu::telemetry).get(Reading.MEM_CLOCK_MHZ).orElseThrow();
      assertTrue(memClockMhz <= 1100, "the other clock is still locked: " + memClockMhz);
      run(gpu, Gpu::resetMemLockedClocks);
      assertTrue(gpu.call(Gpu::telemetry).get(Reading.MEM_CLOCK_MHZ).orElseThrow() > 1100);
    }
  }

  @ParameterizedTest
  @EnumSource(names = "HWMON")
  void settingsThatThereAreNotAreRefusedAndNotLent(GpuRig rig) {
    try (Node node = open(rig)) {
      DeviceWorker<Gpu> gpu = node.gpus().getFirst();
      List<Command> commands =
          List.of(
              Gpu::powerLimitMw,
              Gpu::powerLimitConstraints,
              Gpu::persistenceMode,
              device -> device.setPowerLimit(100_000),
              device -> device.setPersistenceMode(true),
              device -> device.setGpuLockedClocks(500, 600),
              device -> device.setMemLockedClocks(500, 600),
              Gpu::resetGpuLockedClocks,
              Gpu::resetMemLockedClocks);
      for (Command command : commands) {
        assertThrows(DeviceException.NotSupported.class, () -> run(gpu, command));
      }
      for (SettingKey key : SettingKey.values()) {
        DeviceException why = whyNotLent(node, key);
        assertTrue(why.getMessage().contains("has no settings"), why.getMessage());
      }
      assertTrue(works(gpu));
    }
  }

  /** Never, and so not "try again later". */
  private static DeviceException whyNotLent(Node node, SettingKey key) {
    LeaseException.Unreadable refused =
        assertThrows(
            LeaseException.Unreadable.class, () -> node.lease(List.of(0), Set.of(key)), key::name);
    return assertInstanceOf(DeviceException.NotSupported.class, refused.failures().get(0));
  }

  @ParameterizedTest
  @EnumSource
  void aModuleHasALimitOfItsOwnIfThereIsOne(GpuRig rig) {
    try (Node node = open(rig)) {
      DeviceWorker<Gpu> gpu = node.gpus().getFirst();
      if (!rig.becomesModule(0)) {
        List<Command> commands =
            List.of(
                Gpu::modulePowerLimitMw,
                Gpu::defaultModulePowerLimitMw,
                Gpu::modulePowerLimitConstraints,
                device -> device.setModulePowerLimit(500_000));
        for (Command command : commands) {
          assertThrows(DeviceException.NotSupported.class, () -> run(gpu, command));
        }
        whyNotLent(node, SettingKey.MODULE_POWER_LIMIT);
        return;
      }
      PowerLimitConstraints limits = gpu.call(Gpu::modulePowerLimitConstraints);
      long before = gpu.call(Gpu::modulePowerLimitMw);
      long ofGpuMw = gpu.call(Gpu::powerLimitMw);
      try (Lease lease = node.lease(List.of(0), Set.of(SettingKey.MODULE_POWER_LIMIT))) {
        lease.set(new SettingValue.ModulePowerLimit(limits.minPowerLimitMw() + 1000));
        assertEquals(limits.minPowerLimitMw() + 1000, gpu.call(Gpu::modulePowerLimitMw));
        assertEquals(ofGpuMw, gpu.call(Gpu::powerLimitMw));
        DeviceException refused =
            assertThrows(
                DeviceException.InvalidArgument.class,
                () ->
                    run(
                        gpu,
                        device -> device.setModulePowerLimit(limits.maxPowerLimitMw() + 1000)));
        assertTrue(
            refused
                .getMessage()
                .contains(limits.minPowerLimitMw() + " to " + limits.maxPowerLimitMw() + " mW"),
            refused.getMessage());
      }
      assertEquals(before, gpu.call(Gpu::modulePowerLimitMw));
      assertEquals(ofGpuMw, gpu.call(Gpu::powerLimitMw));
    }
  }

  private interface Command {
    void run(Gpu gpu);
  }

  private static void run(DeviceWorker<Gpu> gpu, Command command) {
    gpu.call(
        device -> {
          command.run(device);
          return true;
        });
  }

  @ParameterizedTest
  @EnumSource
  void oneThatFailsOrIsLostDisturbsNoOtherAndComesBack(GpuRig rig) throws Exception {
    assumeTrue(rig.canBeDisturbed(), "simulated GPUs never fail");
    try (Node node = open(rig);
        Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(0, 1))) {
      power.poll(LONG);
      for (boolean lost : new boolean[] {false, true}) {
        if (lost) {
          rig.lose(0, true);
        } else {
          rig.fail(0, true);
        }
        DeviceWorker<Gpu> gpu = node.gpus().getFirst();
        assertThrows(DeviceException.Failed.class, () -> gpu.call(Gpu::powerMw));
        assertThrows(
            DeviceException.Failed.class,
            () -> gpu.call(rig.isMeterOnly() ? Gpu::energyMj : Gpu::powerLimitMw));
        long powerMw = lost ? 222_000 : 111_000;
        rig.powerMw(1, powerMw);
        awaitSample(rig, power, 1, powerMw);
        rig.fail(0, false);
        rig.lose(0, false);
        rig.powerMw(0, powerMw + 1000);
        awaitSample(rig, power, 0, powerMw + 1000);
      }
      assertFalse(power.isClosed());
    }
  }

  private static void awaitSample(
      GpuRig rig, Subscription<GpuPowerSample> power, int id, long powerMw)
      throws InterruptedException {
    long limit = System.nanoTime() + LONG.toNanos();
    while (true) {
      for (GpuPowerSample sample : power.poll(Duration.ofMillis(200))) {
        if (sample.gpuId() == id && rig.isPower(powerMw, sample.powerMw())) {
          return;
        }
      }
      assertTrue(System.nanoTime() < limit, "never " + powerMw + " mW of GPU " + id);
    }
  }

  @ParameterizedTest
  @EnumSource
  void oneThatHangsKeepsNobodyAndComesBack(GpuRig rig) throws Exception {
    assumeTrue(rig.canBeDisturbed(), "simulated GPUs never hang");
    try (Node node = open(rig)) {
      DeviceWorker<Gpu> other = node.gpus().get(1);
      rig.hang(0, true);
      CompletableFuture<Long> hung = node.gpus().getFirst().submit(Gpu::powerMw);
      if (rig.keepsGpusApart()) {
        rig.powerMw(1, 123_000);
        Await.until("the other one goes on", () -> rig.isPower(123_000, other.call(Gpu::powerMw)));
      } else {
        // The library makes one call at a time: the others are refused, and keep no thread.
        Await.until("the other one is refused", () -> !works(other));
      }
      assertFalse(hung.isDone());
      rig.hang(0, false);
      assertTrue(hung.get() > 0);
      Await.until("both work", () -> works(other) && works(node.gpus().getFirst()));
    } finally {
      rig.hang(0, false);
    }
  }

  @ParameterizedTest
  @EnumSource
  void aDriverThatIsReloadedNeedsNoRestart(GpuRig rig) throws Exception {
    assumeTrue(rig.canBeDisturbed(), "simulated GPUs have no driver");
    try (Node node = open(rig)) {
      DeviceWorker<Gpu> gpu = node.gpus().get(1);
      int generation = gpu.device().driverGeneration();
      rig.unload(true);
      DeviceException e = assertThrows(DeviceException.Failed.class, () -> gpu.call(Gpu::powerMw));
      assertTrue(e.getMessage().contains("load"), e.getMessage());
      rig.unload(false);
      Await.until("all work", () -> node.gpus().stream().allMatch(GpuContractTest::works));
      assertTrue(gpu.device().driverGeneration() > generation, "settings may be forgotten");
      assertEquals(2, node.gpus().size());
    }
  }

  @ParameterizedTest
  @EnumSource
  void aLeasePutsBackWhatItChangedUnlessSomebodyElseDidSince(GpuRig rig) throws Exception {
    assumeFalse(rig.isMeterOnly(), "there are no settings");
    try (Node node = open(rig)) {
      DeviceWorker<Gpu> gpu = node.gpus().getFirst();
      PowerLimitConstraints limits = gpu.call(Gpu::powerLimitConstraints);
      long before = gpu.call(Gpu::powerLimitMw);
      Set<SettingKey> keys = Set.of(SettingKey.POWER_LIMIT, SettingKey.GPU_CLOCKS);
      try (Lease lease = node.lease(List.of(0), keys)) {
        lease.setPowerLimit(limits.minPowerLimitMw() + 2000);
        lease.set(new SettingValue.GpuClocks(Optional.of(new SettingValue.ClockRange(700, 800))));
        assertEquals(limits.minPowerLimitMw() + 2000, gpu.call(Gpu::powerLimitMw));
      }
      assertEquals(before, gpu.call(Gpu::powerLimitMw));
      assertTrue(gpu.call(Gpu::telemetry).get(Reading.SM_CLOCK_MHZ).orElseThrow() != 800);
      if (rig.canBeDisturbed()) {
        Lease lease = node.lease(List.of(0), keys);
        lease.setPowerLimit(limits.minPowerLimitMw() + 2000);
        rig.setBehindTheBack(0, limits.minPowerLimitMw() + 5000);
        lease.close();
        assertEquals(limits.minPowerLimitMw() + 5000, gpu.call(Gpu::powerLimitMw));
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void nothingIsAskedWhileNobodyAsksAndTheDriverCanBeLetGoOf(GpuRig rig) throws Exception {
    assumeTrue(rig.canBeDisturbed(), "simulated GPUs count no calls");
    try (Node node = open(rig)) {
      try (Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(0))) {
        power.poll(LONG);
        assertEquals(Node.Release.STREAMED, node.releaseGpus());
      }
      Await.rest();
      assertEquals(Node.Release.DONE, node.releaseGpus());
      assertTrue(works(node.gpus().get(1)), "it is opened again");
    }
    Await.rest();
  }
}
