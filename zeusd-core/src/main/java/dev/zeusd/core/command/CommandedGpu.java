package dev.zeusd.core.command;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.MigInstance;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.worker.YieldsTurn;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A GPU of which commands change some settings. What they do not, the GPU itself does. While a
 * program runs, others may read the GPU.
 */
final class CommandedGpu implements Gpu, YieldsTurn {
  private final Gpu gpu;
  private final GpuCommands commands;

  /** What this process has locked; the GPU's clock, then the memory's. */
  private Optional<Runnable> gpuLock = Optional.empty();

  private Optional<Runnable> memLock = Optional.empty();

  private volatile Yielding whileOthersRead = (atMost, work) -> work.run();

  CommandedGpu(Gpu gpu, GpuCommands commands) {
    this.gpu = gpu;
    this.commands = commands;
  }

  @Override
  public void yieldTurnBy(Yielding whileOthersRead) {
    this.whileOthersRead = whileOthersRead;
  }

  boolean isOver(Gpu other) {
    return gpu == other;
  }

  // ---- By commands ----

  /** Runs what there is for this operation, one after the other until one fails. */
  private boolean run(GpuOperation operation, Map<String, Long> values) {
    Optional<GpuCommand> found = commands.find(operation);
    if (found.isEmpty()) {
      return false;
    }
    GpuCommand command = found.get();
    List<List<String>> lines =
        command.filled(
            name -> values.containsKey(name) ? Long.toString(values.get(name)) : fact(name));
    Duration each = command.timeout().plus(CommandRunner.MOST_AFTERWARDS);
    whileOthersRead.run(
        each.multipliedBy(lines.size()),
        () ->
            lines.forEach(
                line ->
                    CommandRunner.run(
                        operation.inWords(), line, command.errorPattern(), command.timeout())));
    return true;
  }

  /** What stands for this GPU in a command. */
  private String fact(String name) {
    return switch (GpuCommand.Fact.of(name)) {
      case GPU_ID -> Integer.toString(info().id());
      case VENDOR -> known(name, vendor());
      case VENDOR_INDEX -> Integer.toString(gpu.vendorIndex());
      case GPU_UUID -> known(name, info().uuid());
      case PCI_ADDRESS -> known(name, info().pciAddress());
    };
  }

  private static String known(String name, Optional<String> fact) {
    return fact.orElseThrow(
        () ->
            new DeviceException.Failed(
                "the command is not run: it needs {" + name + "}, which this GPU has not told"));
  }

  @Override
  public void setPowerLimit(long powerLimitMw) {
    Map<String, Long> values =
        Map.of("power_limit_mw", powerLimitMw, "power_limit_w", powerLimitMw / 1000);
    if (commands.find(GpuOperation.SET_POWER_LIMIT).isPresent()) {
      refuseOutOfRange(powerLimitMw);
    }
    if (!run(GpuOperation.SET_POWER_LIMIT, values)) {
      gpu.setPowerLimit(powerLimitMw);
    }
  }

  /** What the GPU would refuse need not be tried by a program that may do anything. */
  private void refuseOutOfRange(long powerLimitMw) {
    PowerLimitConstraints limits;
    try {
      limits = gpu.powerLimitConstraints();
    } catch (DeviceException e) {
      // It does not tell: then the command has to know.
      return;
    }
    if (powerLimitMw < limits.minPowerLimitMw() || powerLimitMw > limits.maxPowerLimitMw()) {
      throw new DeviceException.InvalidArgument(
          "power limit %d mW is not within %d to %d mW"
              .formatted(powerLimitMw, limits.minPowerLimitMw(), limits.maxPowerLimitMw()));
    }
  }

  private void refuseUnordered(GpuOperation operation, long minClockMhz, long maxClockMhz) {
    if (commands.find(operation).isPresent() && minClockMhz > maxClockMhz) {
      throw new DeviceException.InvalidArgument(
          "clock %d to %d MHz: the lower end has to come first"
              .formatted(minClockMhz, maxClockMhz));
    }
  }

  @Override
  public void setPersistenceMode(boolean enabled) {
    if (!run(GpuOperation.SET_PERSISTENCE_MODE, Map.of("enabled", enabled ? 1L : 0L))) {
      gpu.setPersistenceMode(enabled);
    }
  }

  private static Map<String, Long> clocks(long minClockMhz, long maxClockMhz) {
    return Map.of("min_clock_mhz", minClockMhz, "max_clock_mhz", maxClockMhz);
  }

  @Override
  public void setGpuLockedClocks(long minClockMhz, long maxClockMhz) {
    refuseUnordered(GpuOperation.SET_GPU_LOCKED_CLOCKS, minClockMhz, maxClockMhz);
    if (!run(GpuOperation.SET_GPU_LOCKED_CLOCKS, clocks(minClockMhz, maxClockMhz))) {
      gpu.setGpuLockedClocks(minClockMhz, maxClockMhz);
    }
    gpuLock = Optional.of(() -> setGpuLockedClocks(minClockMhz, maxClockMhz));
  }

  @Override
  public void setMemLockedClocks(long minClockMhz, long maxClockMhz) {
    refuseUnordered(GpuOperation.SET_MEM_LOCKED_CLOCKS, minClockMhz, maxClockMhz);
    if (!run(GpuOperation.SET_MEM_LOCKED_CLOCKS, clocks(minClockMhz, maxClockMhz))) {
      gpu.setMemLockedClocks(minClockMhz, maxClockMhz);
    }
    memLock = Optional.of(() -> setMemLockedClocks(minClockMhz, maxClockMhz));
  }

  @Override
  public void resetGpuLockedClocks() {
    if (!run(GpuOperation.RESET_GPU_LOCKED_CLOCKS, Map.of())) {
      if (run(GpuOperation.RESET_LOCKED_CLOCKS, Map.of())) {
        // It has given back the other clock as well, which nobody has asked for.
        memLock.ifPresent(Runnable::run);
      } else {
        gpu.resetGpuLockedClocks();
      }
    }
    gpuLock = Optional.empty();
  }

  @Override
  public void resetMemLockedClocks() {
    if (!run(GpuOperation.RESET_MEM_LOCKED_CLOCKS, Map.of())) {
      if (run(GpuOperation.RESET_LOCKED_CLOCKS, Map.of())) {
        gpuLock.ifPresent(Runnable::run);
      } else {
        gpu.resetMemLockedClocks();
      }
    }
    memLock = Optional.empty();
  }

  // ---- By the GPU itself ----

  @Override
  public GpuInfo info() {
    return gpu.info();
  }

  @Override
  public Optional<String> vendor() {
    return gpu.vendor();
  }

  @Override
  public int vendorIndex() {
    return gpu.vendorIndex();
  }

  @Override
  public Optional<GpuDriver> driver() {
    return gpu.driver();
  }

  @Override
  public Optional<List<MigInstance>> migInstances() {
    return gpu.migInstances();
  }

  @Override
  public Optional<String> whyNeverLent() {
    return gpu.whyNeverLent();
  }

  @Override
  public void identify() {
    gpu.identify();
  }

  @Override
  public int driverGeneration() {
    return gpu.driverGeneration();
  }

  @Override
  public long powerMw() {
    return gpu.powerMw();
  }

  @Override
  public long powerMwOf(PowerScope scope) {
    return gpu.powerMwOf(scope);
  }

  @Override
  public long energyMj() {
    return gpu.energyMj();
  }

  @Override
  public long powerLimitMw() {
    return gpu.powerLimitMw();
  }

  @Override
  public long defaultPowerLimitMw() {
    return gpu.defaultPowerLimitMw();
  }

  @Override
  public PowerLimitConstraints powerLimitConstraints() {
    return gpu.powerLimitConstraints();
  }

  @Override
  public long modulePowerLimitMw() {
    return gpu.modulePowerLimitMw();
  }

  @Override
  public long defaultModulePowerLimitMw() {
    return gpu.defaultModulePowerLimitMw();
  }

  @Override
  public void setModulePowerLimit(long powerLimitMw) {
    gpu.setModulePowerLimit(powerLimitMw);
  }

  @Override
  public PowerLimitConstraints modulePowerLimitConstraints() {
    return gpu.modulePowerLimitConstraints();
  }

  @Override
  public GpuTelemetry telemetry() {
    return gpu.telemetry();
  }

  @Override
  public boolean persistenceMode() {
    return gpu.persistenceMode();
  }
}
