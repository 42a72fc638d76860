package dev.zeusd.core.device;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One GPU. Every method but {@link #info} asks the hardware, may take long, and throws {@link
 * DeviceException}. What a kind of GPU does not have need not be implemented.
 *
 * <p>Not thread-safe: all calls but {@link #info} come from the GPU's {@link
 * dev.zeusd.core.worker.DeviceWorker}.
 */
public interface Gpu {
  /** Why settings cannot be lent of a GPU that never tells its UUID. */
  String NO_UUID = "this GPU has no UUID, by which a lease would know its settings again";

  /**
   * {@return what the GPU is, without asking the hardware; from any thread} Until the GPU has said
   * so, by {@link #identify} or a later call, no more than its id is known.
   */
  GpuInfo info();

  /**
   * {@return who serves it, without asking the hardware; from any thread} Empty until that is
   * known: from the first {@link #telemetry} on, at the latest.
   */
  default Optional<GpuDriver> driver() {
    return Optional.empty();
  }

  /**
   * Who made it, in one lower-case word such as {@code nvidia} or {@code amd}, without asking the
   * hardware; from any thread. Empty if that is not known.
   *
   * @return who made it, in one lower-case word
   */
  default Optional<String> vendor() {
    return driver().map(GpuDriver::vendor);
  }

  /**
   * {@return the number by which its vendor's tools know it now: the index of {@code nvidia-smi -i}
   * or {@code amd-smi --gpu}}
   *
   * @throws DeviceException.NotSupported where there is no such number
   */
  default int vendorIndex() {
    throw cannot("have a number that tools of its vendor know");
  }

  /**
   * {@return the instances that it is partitioned into, as they were when it was last asked for its
   * {@link #telemetry}, or to {@link #identify} itself; from any thread} Empty if it is not
   * partitioned.
   */
  default Optional<List<MigInstance>> migInstances() {
    return Optional.empty();
  }

  /**
   * {@return why none of its settings can ever be lent and put back} Empty if they can, or if that
   * is not known yet. Without asking the hardware; from any thread.
   */
  default Optional<String> whyNeverLent() {
    return info().uuid().isPresent() ? Optional.empty() : Optional.of(NO_UUID);
  }

  /** Asks the hardware what the GPU is. A failure is logged only: it may tell later. */
  default void identify() {}

  /**
   * Counts how often the driver may have forgotten what was set, since it was opened anew. Without
   * asking the hardware; from any thread.
   *
   * @return how often so far
   */
  default int driverGeneration() {
    return 0;
  }

  /** {@return power drawn now, in mW: the instant reading where the GPU has one} */
  long powerMw();

  /**
   * {@return power drawn now by this part of the machine and no other, in mW}
   *
   * @param scope the GPU alone, or the module that carries it
   * @throws DeviceException.NotSupported where that is not told
   */
  default long powerMwOf(PowerScope scope) {
    long powerMw = powerMw();
    if (info().powerScope() != scope) {
      throw cannot(
          "tell the power of " + (scope == PowerScope.GPU ? "the GPU" : "its module") + " alone");
    }
    return powerMw;
  }

  /** {@return energy since the driver was loaded, in mJ, as unsigned 64 bits} */
  default long energyMj() {
    throw cannot("count its energy");
  }

  /** {@return the power limit that is set, in mW} */
  default long powerLimitMw() {
    throw cannot("have a power limit");
  }

  /** {@return the power limit that the driver sets by itself, in mW} */
  default long defaultPowerLimitMw() {
    throw new DeviceException.NotSupported("this GPU does not tell its default power limit");
  }

  /** {@return the limits that can be set} */
  default PowerLimitConstraints powerLimitConstraints() {
    throw cannot("have a power limit");
  }

  /** {@return the power limit that is set for the module that carries it, in mW} */
  default long modulePowerLimitMw() {
    throw cannot("have a module with a power limit");
  }

  /**
   * {@return the power limit that the driver sets by itself for the module that carries it, in mW}
   */
  default long defaultModulePowerLimitMw() {
    throw cannot("have a module with a power limit");
  }

  /** {@return the limits that can be set for the module that carries it} */
  default PowerLimitConstraints modulePowerLimitConstraints() {
    throw cannot("have a module with a power limit");
  }

  /** {@return how it is doing; what it does not tell is left out} */
  default GpuTelemetry telemetry() {
    Map<GpuTelemetry.Reading, Long> readings = new EnumMap<>(GpuTelemetry.Reading.class);
    try {
      readings.put(GpuTelemetry.Reading.POWER_LIMIT_MW, powerLimitMw());
      readings.put(GpuTelemetry.Reading.DEFAULT_POWER_LIMIT_MW, defaultPowerLimitMw());
    } catch (DeviceException.NotSupported e) {
      // It tells no more.
    }
    return new GpuTelemetry(readings, Optional.empty());
  }

  /** {@return whether persistence mode is on} */
  default boolean persistenceMode() {
    throw cannot("have a persistence mode");
  }

  /**
   * Sets the power limit, in mW. Needs root.
   *
   * @param powerLimitMw the limit, in mW
   */
  default void setPowerLimit(long powerLimitMw) {
    throw cannot("have a power limit");
  }

  /**
   * Sets the power limit of the module that carries it. Needs root.
   *
   * @param powerLimitMw the limit, in mW
   */
  default void setModulePowerLimit(long powerLimitMw) {
    throw cannot("have a module with a power limit");
  }

  /**
   * Sets the persistence mode. Needs root.
   *
   * @param enabled whether the driver stays loaded while nobody uses the GPU
   */
  default void setPersistenceMode(boolean enabled) {
    throw cannot("have a persistence mode");
  }

  /**
   * Locks the GPU's clock to a range, in MHz. Needs root.
   *
   * @param minClockMhz the lowest clock, in MHz
   * @param maxClockMhz the highest clock, in MHz
   */
  default void setGpuLockedClocks(long minClockMhz, long maxClockMhz) {
    throw cannot("lock its clock");
  }

  /**
   * Locks the memory's clock to a range, in MHz. Needs root.
   *
   * @param minClockMhz the lowest clock, in MHz
   * @param maxClockMhz the highest clock, in MHz
   */
  default void setMemLockedClocks(long minClockMhz, long maxClockMhz) {
    throw cannot("lock its memory's clock");
  }

  /** Gives the GPU's clock back to the driver. Needs root. */
  default void resetGpuLockedClocks() {
    throw cannot("lock its clock");
  }

  /** Gives the memory's clock back to the driver. Needs root. */
  default void resetMemLockedClocks() {
    throw cannot("lock its memory's clock");
  }

  private static DeviceException cannot(String what) {
    return new DeviceException.NotSupported("this GPU does not " + what);
  }
}
