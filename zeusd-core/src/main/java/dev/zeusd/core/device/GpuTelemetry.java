package dev.zeusd.core.device;

import java.util.Collections;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/**
 * How a GPU is doing: as much of it as the GPU tells.
 *
 * @param readings what it tells, each in its own unit
 * @param throttleReasons why its clocks are not higher, none or several; empty if it does not tell
 * @param migInstances how its instances are doing; empty if it is not partitioned
 */
public record GpuTelemetry(
    Map<Reading, Long> readings,
    Optional<Set<ThrottleReason>> throttleReasons,
    Optional<List<OfInstance>> migInstances) {
  /**
   * Of a GPU that is not partitioned.
   *
   * @param readings what it tells, each in its own unit
   * @param throttleReasons why its clocks are not higher; empty if it does not tell
   */
  public GpuTelemetry(Map<Reading, Long> readings, Optional<Set<ThrottleReason>> throttleReasons) {
    this(readings, throttleReasons, Optional.empty());
  }

  /**
   * How one instance is doing, as far as that is told of it alone.
   *
   * @param instance which one it is
   * @param telemetry what it tells; the rest is its GPU's
   */
  public record OfInstance(MigInstance instance, GpuTelemetry telemetry) {}

  /** Keeps copies. */
  public GpuTelemetry {
    Map<Reading, Long> copy = new EnumMap<>(Reading.class);
    copy.putAll(readings);
    readings = Collections.unmodifiableMap(copy);
    throttleReasons = throttleReasons.map(GpuTelemetry::copyOf);
    migInstances = migInstances.map(List::copyOf);
  }

  private static Set<ThrottleReason> copyOf(Set<ThrottleReason> reasons) {
    Set<ThrottleReason> copy = EnumSet.noneOf(ThrottleReason.class);
    copy.addAll(reasons);
    return Collections.unmodifiableSet(copy);
  }

  /** What can be told, with its unit. */
  public enum Reading {
    /** Of the die, in degrees Celsius. */
    TEMPERATURE_C,
    /** Of the memory, in degrees Celsius. */
    MEMORY_TEMPERATURE_C,
    /** Clock of the multiprocessors as it runs now, in MHz. */
    SM_CLOCK_MHZ,
    /** Clock of the memory as it runs now, in MHz. */
    MEM_CLOCK_MHZ,
    /** Part of the last second or less in which a kernel ran, in %. */
    GPU_UTILIZATION_PCT,
    /** Part of the last second or less in which the memory was read or written, in %. */
    MEM_UTILIZATION_PCT,
    /** Memory that is allocated, in bytes; without what the driver keeps for itself. */
    MEMORY_USED_BYTES,
    /** Memory that there is, in bytes. */
    MEMORY_TOTAL_BYTES,
    /** The power limit that was set, in mW. */
    POWER_LIMIT_MW,
    /** The lowest of all power limits that hold it down, some from outside the driver, in mW. */
    ENFORCED_POWER_LIMIT_MW,
    /** The power limit that the driver sets by itself, in mW. */
    DEFAULT_POWER_LIMIT_MW,
    /** From 0, the fastest, to 15. */
    PERFORMANCE_STATE;

    /** {@return the name on the wire, such as {@code temperature_c}} */
    public String wireName() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * {@return a reading, in its own unit, if the GPU tells it}
   *
   * @param reading which one
   */
  public OptionalLong get(Reading reading) {
    Long value = readings.get(reading);
    return value == null ? OptionalLong.empty() : OptionalLong.of(value);
  }
}
