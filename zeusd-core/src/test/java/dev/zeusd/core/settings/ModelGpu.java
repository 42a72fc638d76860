package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.device.PowerScope;
import java.util.Optional;
import java.util.function.Consumer;

/** A GPU whose settings are fields: it may be lost, fail, be reloaded, or hang. */
final class ModelGpu implements Gpu {
  static final long DEFAULT_LIMIT_MW = 300_000;
  static final long MAX_LIMIT_MW = 1_000_000;
  static final long DEFAULT_MODULE_LIMIT_MW = 3_000_000;

  private final GpuInfo info;
  volatile long limitMw = DEFAULT_LIMIT_MW;
  volatile long moduleLimitMw = DEFAULT_MODULE_LIMIT_MW;

  /** Whether there is a module that carries it. */
  volatile boolean hasModule = true;

  volatile boolean persistence;
  volatile String gpuClocks = SettingValue.UNLOCKED;
  volatile String memClocks = SettingValue.UNLOCKED;
  volatile boolean lost;
  volatile boolean failsToWrite;
  volatile int generation;

  /** Called with each value before it is set. */
  volatile Consumer<String> onWrite = value -> {};

  ModelGpu(int id) {
    info =
        new GpuInfo(
            id,
            "model",
            Optional.of("GPU-" + id),
            Optional.empty(),
            Optional.empty(),
            PowerScope.GPU);
  }

  /** As the driver does: all that was set is forgotten. */
  void reload() {
    generation++;
    limitMw = DEFAULT_LIMIT_MW;
    moduleLimitMw = DEFAULT_MODULE_LIMIT_MW;
    persistence = false;
    gpuClocks = SettingValue.UNLOCKED;
    memClocks = SettingValue.UNLOCKED;
  }

  private void write(String value, Runnable change) {
    onWrite.accept(value);
    read();
    if (failsToWrite) {
      throw new DeviceException.Failed("GPU " + info.id() + " does not take it");
    }
    change.run();
  }

  private void read() {
    if (lost) {
      throw new DeviceException.Failed("GPU " + info.id() + " is lost");
    }
  }

  @Override
  public GpuInfo info() {
    return info;
  }

  @Override
  public int driverGeneration() {
    return generation;
  }

  @Override
  public long powerMw() {
    return 1;
  }

  @Override
  public long energyMj() {
    return 1;
  }

  @Override
  public long powerLimitMw() {
    read();
    return limitMw;
  }

  @Override
  public long defaultPowerLimitMw() {
    read();
    return DEFAULT_LIMIT_MW;
  }

  @Override
  public long modulePowerLimitMw() {
    read();
    return hasModule ? moduleLimitMw : Gpu.super.modulePowerLimitMw();
  }

  @Override
  public long defaultModulePowerLimitMw() {
    read();
    return hasModule ? DEFAULT_MODULE_LIMIT_MW : Gpu.super.defaultModulePowerLimitMw();
  }

  @Override
  public PowerLimitConstraints powerLimitConstraints() {
    return new PowerLimitConstraints(0, MAX_LIMIT_MW);
  }

  @Override
  public boolean persistenceMode() {
    read();
    return persistence;
  }

  @Override
  public void setPowerLimit(long powerLimitMw) {
    if (powerLimitMw > MAX_LIMIT_MW) {
      read();
      throw new DeviceException.InvalidArgument("GPU " + info.id() + " does not offer it");
    }
    write("limit " + powerLimitMw, () -> limitMw = powerLimitMw);
  }

  @Override
  public void setModulePowerLimit(long powerLimitMw) {
    write("module " + powerLimitMw, () -> moduleLimitMw = powerLimitMw);
  }

  @Override
  public void setPersistenceMode(boolean enabled) {
    write("persistence " + enabled, () -> persistence = enabled);
  }

  @Override
  public void setGpuLockedClocks(long minClockMhz, long maxClockMhz) {
    write("gpu clocks", () -> gpuClocks = minClockMhz + "-" + maxClockMhz);
  }

  @Override
  public void setMemLockedClocks(long minClockMhz, long maxClockMhz) {
    write("mem clocks", () -> memClocks = minClockMhz + "-" + maxClockMhz);
  }

  @Override
  public void resetGpuLockedClocks() {
    write("gpu clocks", () -> gpuClocks = SettingValue.UNLOCKED);
  }

  @Override
  public void resetMemLockedClocks() {
    write("mem clocks", () -> memClocks = SettingValue.UNLOCKED);
  }
}
