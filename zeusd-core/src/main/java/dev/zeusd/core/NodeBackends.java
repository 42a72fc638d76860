package dev.zeusd.core;

import dev.zeusd.core.amdsmi.AmdSmiBackend;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.nvml.NvmlBackend;
import dev.zeusd.core.rapl.RaplCpus;
import dev.zeusd.core.simulated.SimulatedCpu;
import dev.zeusd.core.simulated.SimulatedGpu;
import java.util.List;
import java.util.Optional;

/** Opens the backends that a configuration names. */
final class NodeBackends {
  private NodeBackends() {}

  /**
   * The GPUs'.
   *
   * @param afterUpgrade as {@link Node#open(NodeConfig, Runnable)} has it, if there is one
   * @throws NodeException if {@code config} insists on a driver that is not there
   */
  static Backend<Gpu> gpus(NodeConfig config, Optional<Runnable> afterUpgrade) {
    return config
        .gpuCommands()
        .over(
            switch (config.gpuBackend()) {
              case NONE -> Backend.of(List.of());
              case SIMULATED -> Backend.of(SimulatedGpu.typicalNode());
              case SIMULATED_MIG -> Backend.of(SimulatedGpu.nodeWithInstances());
              case AUTO -> GpusOfAllVendors.open(config, afterUpgrade);
              case NVML -> NvmlBackend.open(config, afterUpgrade, new GpuIds());
              case AMDSMI -> AmdSmiBackend.open(config, new GpuIds());
            });
  }

  /** The CPUs'. */
  static Backend<Cpu> cpus(NodeConfig config) {
    return switch (config.cpuBackend()) {
      case NONE -> Backend.of(List.of());
      case SIMULATED -> Backend.of(SimulatedCpu.typicalNode());
      case RAPL -> {
        BootClock clock = BootClock.system();
        RaplCpus rapl = RaplCpus.open(config.raplDirs(), clock, () -> openState(config));
        yield new CpusOfAllKinds(rapl, config.hwmonDirs(), clock);
      }
    };
  }

  private static Optional<StateDirectory> openState(NodeConfig config) {
    return config
        .stateDir()
        .flatMap(
            dir -> StateDirectory.open(dir, "CPU energy begins anew when the daemon is restarted"));
  }
}
