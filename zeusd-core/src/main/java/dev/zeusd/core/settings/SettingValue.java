package dev.zeusd.core.settings;

import dev.zeusd.core.device.Gpu;
import java.util.Optional;

/** A value of a setting. */
public sealed interface SettingValue {
  /** {@return of which setting it is} */
  SettingKey key();

  /**
   * Sets it; on the GPU's thread only.
   *
   * @param gpu the GPU, whose thread this is
   * @throws dev.zeusd.core.device.DeviceException as the GPU's own methods
   */
  void writeTo(Gpu gpu);

  /**
   * One word, for the log and for files: what {@link #parse} understands.
   *
   * @return one word, for the log and for files
   */
  String text();

  /**
   * A power limit of the GPU, in mW.
   *
   * @param powerLimitMw the limit, in mW
   */
  record PowerLimit(long powerLimitMw) implements SettingValue {
    @Override
    public SettingKey key() {
      return SettingKey.POWER_LIMIT;
    }

    @Override
    public void writeTo(Gpu gpu) {
      gpu.setPowerLimit(powerLimitMw);
    }

    @Override
    public String text() {
      return Long.toString(powerLimitMw);
    }
  }

  /**
   * A power limit of the module that carries the GPU, in mW.
   *
   * @param powerLimitMw the limit, in mW
   */
  record ModulePowerLimit(long powerLimitMw) implements SettingValue {
    @Override
    public SettingKey key() {
      return SettingKey.MODULE_POWER_LIMIT;
    }

    @Override
    public void writeTo(Gpu gpu) {
      gpu.setModulePowerLimit(powerLimitMw);
    }

    @Override
    public String text() {
      return Long.toString(powerLimitMw);
    }
  }

  /**
   * Persistence mode, on or off.
   *
   * @param enabled whether the driver stays loaded while nobody uses the GPU
   */
  record PersistenceMode(boolean enabled) implements SettingValue {
    @Override
    public SettingKey key() {
      return SettingKey.PERSISTENCE_MODE;
    }

    @Override
    public void writeTo(Gpu gpu) {
      gpu.setPersistenceMode(enabled);
    }

    @Override
    public String text() {
      return Boolean.toString(enabled);
    }
  }

  /**
   * Clocks from {@code minClockMhz} to {@code maxClockMhz}, both included.
   *
   * @param minClockMhz the lowest clock, in MHz
   * @param maxClockMhz the highest clock, in MHz
   */
  record ClockRange(long minClockMhz, long maxClockMhz) {
    private String text() {
      return minClockMhz + "-" + maxClockMhz;
    }

    private static Optional<ClockRange> parse(String text) {
      if (text.equals(UNLOCKED)) {
        return Optional.empty();
      }
      String[] ends = text.split("-");
      if (ends.length != 2) {
        throw new IllegalArgumentException(text);
      }
      return Optional.of(new ClockRange(Long.parseLong(ends[0]), Long.parseLong(ends[1])));
    }
  }

  /** How clocks are written that the driver decides about. */
  String UNLOCKED = "driver";

  /**
   * The GPU's clock.
   *
   * @param locked to which range; empty if the driver decides
   */
  record GpuClocks(Optional<ClockRange> locked) implements SettingValue {
    @Override
    public SettingKey key() {
      return SettingKey.GPU_CLOCKS;
    }

    @Override
    public void writeTo(Gpu gpu) {
      locked.ifPresentOrElse(
          range -> gpu.setGpuLockedClocks(range.minClockMhz, range.maxClockMhz),
          gpu::resetGpuLockedClocks);
    }

    @Override
    public String text() {
      return locked.map(ClockRange::text).orElse(UNLOCKED);
    }
  }

  /**
   * The memory's clock.
   *
   * @param locked to which range; empty if the driver decides
   */
  record MemClocks(Optional<ClockRange> locked) implements SettingValue {
    @Override
    public SettingKey key() {
      return SettingKey.MEM_CLOCKS;
    }

    @Override
    public void writeTo(Gpu gpu) {
      locked.ifPresentOrElse(
          range -> gpu.setMemLockedClocks(range.minClockMhz, range.maxClockMhz),
          gpu::resetMemLockedClocks);
    }

    @Override
    public String text() {
      return locked.map(ClockRange::text).orElse(UNLOCKED);
    }
  }

  /**
   * {@return what the GPU says; empty for clocks, which no driver tells} On the GPU's thread only.
   *
   * @param key which setting
   * @param gpu the GPU, whose thread this is
   */
  static Optional<SettingValue> read(SettingKey key, Gpu gpu) {
    return switch (key) {
      case POWER_LIMIT -> Optional.of(new PowerLimit(gpu.powerLimitMw()));
      case MODULE_POWER_LIMIT -> Optional.of(new ModulePowerLimit(gpu.modulePowerLimitMw()));
      case PERSISTENCE_MODE -> Optional.of(new PersistenceMode(gpu.persistenceMode()));
      case GPU_CLOCKS, MEM_CLOCKS -> Optional.empty();
    };
  }

  /**
   * {@return what the driver sets by itself when it is loaded; on the GPU's thread only}
   *
   * @param key which setting
   * @param gpu the GPU, whose thread this is
   */
  static SettingValue driverDefault(SettingKey key, Gpu gpu) {
    return switch (key) {
      case POWER_LIMIT -> new PowerLimit(gpu.defaultPowerLimitMw());
      case MODULE_POWER_LIMIT -> new ModulePowerLimit(gpu.defaultModulePowerLimitMw());
      case PERSISTENCE_MODE -> new PersistenceMode(false);
      case GPU_CLOCKS -> new GpuClocks(Optional.empty());
      case MEM_CLOCKS -> new MemClocks(Optional.empty());
    };
  }

  /**
   * A value from its {@link #text}.
   *
   * @param key which setting
   * @param text as {@link #text} has made it
   * @return the value
   * @throws IllegalArgumentException if it is none
   */
  static SettingValue parse(SettingKey key, String text) {
    return switch (key) {
      case POWER_LIMIT -> new PowerLimit(Long.parseLong(text));
      case MODULE_POWER_LIMIT -> new ModulePowerLimit(Long.parseLong(text));
      case PERSISTENCE_MODE ->
          switch (text) {
            case "true" -> new PersistenceMode(true);
            case "false" -> new PersistenceMode(false);
            default -> throw new IllegalArgumentException(text);
          };
      case GPU_CLOCKS -> new GpuClocks(ClockRange.parse(text));
      case MEM_CLOCKS -> new MemClocks(ClockRange.parse(text));
    };
  }
}
