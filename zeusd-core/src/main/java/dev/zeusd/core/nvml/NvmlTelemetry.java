package dev.zeusd.core.nvml;

import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.OfInstance;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.ThrottleReason;
import dev.zeusd.core.driver.TelemetryQuestions;
import dev.zeusd.ffm.driver.DriverException;
import dev.zeusd.ffm.nvml.ClocksEventReason;
import dev.zeusd.ffm.nvml.NvmlDevice;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import dev.zeusd.ffm.nvml.NvmlSensors;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/** Asks a GPU for all that it tells of how it is doing. For one thread at a time. */
final class NvmlTelemetry {
  private final NvmlLibrary library;
  private final NvmlDevice device;
  private final NvmlSensors sensors;
  private final NvmlInstances instances;

  private volatile Optional<GpuDriver> driver = Optional.empty();
  private int driverReadIn = -1;

  NvmlTelemetry(NvmlLibrary library, NvmlDevice device, NvmlInstances instances) {
    this.library = library;
    this.device = device;
    this.sensors = device.sensors();
    this.instances = instances;
  }

  /**
   * Asks; what the GPU does not tell is missing.
   *
   * @throws DriverException if it cannot be reached, or fails and tells nothing at all
   */
  GpuTelemetry read() throws DriverException {
    TelemetryQuestions gpu = new TelemetryQuestions();
    gpu.put(Reading.TEMPERATURE_C, sensors::temperatureC);
    gpu.put(Reading.MEMORY_TEMPERATURE_C, sensors::memoryTemperatureC);
    gpu.put(Reading.SM_CLOCK_MHZ, sensors::smClockMhz);
    gpu.put(Reading.MEM_CLOCK_MHZ, sensors::memClockMhz);
    Optional<NvmlSensors.Utilization> utilization = gpu.ask(sensors::utilization);
    utilization.ifPresent(it -> gpu.put(Reading.GPU_UTILIZATION_PCT, it.gpuPct()));
    utilization.ifPresent(it -> gpu.put(Reading.MEM_UTILIZATION_PCT, it.memoryPct()));
    Optional<NvmlSensors.Memory> memory = gpu.ask(sensors::memory);
    memory.ifPresent(it -> gpu.put(Reading.MEMORY_USED_BYTES, it.usedBytes()));
    memory.ifPresent(it -> gpu.put(Reading.MEMORY_TOTAL_BYTES, it.totalBytes()));
    gpu.put(Reading.POWER_LIMIT_MW, device::powerLimitMw);
    gpu.put(Reading.ENFORCED_POWER_LIMIT_MW, sensors::enforcedPowerLimitMw);
    gpu.put(Reading.DEFAULT_POWER_LIMIT_MW, device::defaultPowerLimitMw);
    Optional<Set<ThrottleReason>> reasons =
        gpu.ask(sensors::clocksEventReasons).map(NvmlTelemetry::reasons);
    gpu.put(Reading.PERFORMANCE_STATE, sensors::performanceState);
    Optional<List<OfInstance>> ofInstances = gpu.ask(instances::read).flatMap(Function.identity());
    GpuTelemetry telemetry = gpu.answers(reasons, ofInstances);
    readDriverIfNew();
    return telemetry;
  }

  /** As of the last time that the GPU was asked; from any thread. */
  Optional<GpuDriver> driver() {
    return driver;
  }

  /** A reload may bring another one. */
  private void readDriverIfNew() {
    int generation = library.generation();
    if (driverReadIn != generation) {
      driverReadIn = generation;
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
