package dev.zeusd.core.nvml;

import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.ThrottleReason;
import dev.zeusd.core.driver.Question;
import dev.zeusd.ffm.driver.DriverException;
import dev.zeusd.ffm.nvml.ClocksEventReason;
import dev.zeusd.ffm.nvml.NvmlDevice;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import dev.zeusd.ffm.nvml.NvmlSensors;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Asks a GPU for all that it tells of how it is doing. For one thread at a time. */
final class NvmlTelemetry {
  private final NvmlLibrary library;
  private final NvmlDevice device;
  private final NvmlSensors sensors;

  private volatile Optional<GpuDriver> driver = Optional.empty();
  private int driverReadIn = -1;

  // Of the question that is being asked.
  private final Map<Reading, Long> readings = new EnumMap<>(Reading.class);
  private DriverException failure;

  NvmlTelemetry(NvmlLibrary library, NvmlDevice device) {
    this.library = library;
    this.device = device;
    this.sensors = device.sensors();
  }

  /**
   * Asks; what the GPU does not tell is missing.
   *
   * @throws DriverException if it cannot be reached, or fails and tells nothing at all
   */
  GpuTelemetry read() throws DriverException {
    readings.clear();
    failure = null;
    put(Reading.TEMPERATURE_C, sensors::temperatureC);
    put(Reading.MEMORY_TEMPERATURE_C, sensors::memoryTemperatureC);
    put(Reading.SM_CLOCK_MHZ, sensors::smClockMhz);
    put(Reading.MEM_CLOCK_MHZ, sensors::memClockMhz);
    Optional<NvmlSensors.Utilization> utilization = ask(sensors::utilization);
    utilization.ifPresent(
        it -> {
          readings.put(Reading.GPU_UTILIZATION_PCT, it.gpuPct());
          readings.put(Reading.MEM_UTILIZATION_PCT, it.memoryPct());
        });
    ask(sensors::memory)
        .ifPresent(
            it -> {
              readings.put(Reading.MEMORY_USED_BYTES, it.usedBytes());
              readings.put(Reading.MEMORY_TOTAL_BYTES, it.totalBytes());
            });
    put(Reading.POWER_LIMIT_MW, device::powerLimitMw);
    put(Reading.ENFORCED_POWER_LIMIT_MW, sensors::enforcedPowerLimitMw);
    put(Reading.DEFAULT_POWER_LIMIT_MW, device::defaultPowerLimitMw);
    Optional<Set<ThrottleReason>> reasons =
        ask(sensors::clocksEventReasons).map(NvmlTelemetry::reasons);
    put(Reading.PERFORMANCE_STATE, sensors::performanceState);
    if (failure != null && readings.isEmpty() && reasons.isEmpty()) {
      throw failure;
    }
    readDriverIfNew();
    return new GpuTelemetry(readings, reasons);
  }

  /** As of the last time that the GPU was asked; from any thread. */
  Optional<GpuDriver> driver() {
    return driver;
  }

  /** A reload may bring another one. */
  private void readDriverIfNew() {
    int initialisation = library.initialisations();
    if (driverReadIn != initialisation) {
      driverReadIn = initialisation;
      driver = Optional.of(new GpuDriver("nvidia", driverVersion()));
    }
  }

  private String driverVersion() {
    try {
      return library.driverVersion();
    } catch (NvmlException e) {
      return "";
    }
  }

  private void put(Reading reading, Question<Long> question) throws DriverException {
    ask(question).ifPresent(value -> readings.put(reading, value));
  }

  /** A GPU that cannot be reached is not asked any further. */
  private <T> Optional<T> ask(Question<T> question) throws DriverException {
    try {
      return Optional.of(question.ask());
    } catch (DriverException e) {
      if (e.kind() == DriverException.Kind.GONE) {
        throw e;
      }
      failure = failure == null ? e : failure;
      return Optional.empty();
    }
  }

  private static Set<ThrottleReason> reasons(Set<ClocksEventReason> told) {
    Set<ThrottleReason> reasons = EnumSet.noneOf(ThrottleReason.class);
    for (ClocksEventReason reason : told) {
      reasons.add(
          switch (reason) {
            case GPU_IDLE -> ThrottleReason.GPU_IDLE;
            case APPLICATIONS_CLOCKS_SETTING -> ThrottleReason.APPLICATIONS_CLOCKS_SETTING;
            case SW_POWER_CAP -> ThrottleReason.SW_POWER_CAP;
            case HW_SLOWDOWN -> ThrottleReason.HW_SLOWDOWN;
            case SYNC_BOOST -> ThrottleReason.SYNC_BOOST;
            case SW_THERMAL_SLOWDOWN -> ThrottleReason.SW_THERMAL_SLOWDOWN;
            case HW_THERMAL_SLOWDOWN -> ThrottleReason.HW_THERMAL_SLOWDOWN;
            case HW_POWER_BRAKE_SLOWDOWN -> ThrottleReason.HW_POWER_BRAKE_SLOWDOWN;
            case DISPLAY_CLOCK_SETTING -> ThrottleReason.DISPLAY_CLOCK_SETTING;
            case BOARD_LIMIT -> ThrottleReason.BOARD_LIMIT;
            case RELIABILITY -> ThrottleReason.RELIABILITY;
            case OTHER -> ThrottleReason.OTHER;
          });
    }
    return reasons;
  }
}
