package dev.zeusd.client;

import jakarta.json.JsonObject;
import jakarta.json.JsonValue;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;

/**
 * How a GPU is doing. What it does not tell is empty.
 *
 * @param temperatureC in °C
 * @param memoryTemperatureC of its memory, in °C
 * @param smClockMhz of its processors, in MHz
 * @param memClockMhz of its memory, in MHz
 * @param gpuUtilizationPct how much of the last moment it was busy, in percent
 * @param memUtilizationPct how much of the last moment its memory was busy, in percent
 * @param memoryUsedBytes memory in use, without what the driver keeps for itself
 * @param memoryTotalBytes all of its memory
 * @param powerLimitMw what was set, in mW
 * @param enforcedPowerLimitMw what holds, in mW, which may be lower
 * @param defaultPowerLimitMw what the driver sets by itself, in mW
 * @param performanceState from 0, the fastest, to 15
 * @param throttleReasonNames why its clocks are not higher, as the daemon names it; see {@link
 *     #throttleReasons}
 */
public record GpuTelemetry(
    OptionalInt temperatureC,
    OptionalInt memoryTemperatureC,
    OptionalInt smClockMhz,
    OptionalInt memClockMhz,
    OptionalInt gpuUtilizationPct,
    OptionalInt memUtilizationPct,
    OptionalLong memoryUsedBytes,
    OptionalLong memoryTotalBytes,
    OptionalLong powerLimitMw,
    OptionalLong enforcedPowerLimitMw,
    OptionalLong defaultPowerLimitMw,
    OptionalInt performanceState,
    Optional<List<String>> throttleReasonNames) {
  /** Keeps a copy. */
  public GpuTelemetry {
    throttleReasonNames = throttleReasonNames.map(List::copyOf);
  }

  /** {@return why its clocks are not higher; all that are unknown here are one} */
  public Optional<Set<ThrottleReason>> throttleReasons() {
    return throttleReasonNames.map(ThrottleReason::ofNames);
  }

  static GpuTelemetry of(JsonObject json) {
    return new GpuTelemetry(
        Json.optionalInt(json, "temperature_c"),
        Json.optionalInt(json, "memory_temperature_c"),
        Json.optionalInt(json, "sm_clock_mhz"),
        Json.optionalInt(json, "mem_clock_mhz"),
        Json.optionalInt(json, "gpu_utilization_pct"),
        Json.optionalInt(json, "mem_utilization_pct"),
        Json.optionalLong(json, "memory_used_bytes"),
        Json.optionalLong(json, "memory_total_bytes"),
        Json.optionalLong(json, "power_limit_mw"),
        Json.optionalLong(json, "enforced_power_limit_mw"),
        Json.optionalLong(json, "default_power_limit_mw"),
        Json.optionalInt(json, "performance_state"),
        json.getOrDefault("throttle_reasons", JsonValue.NULL) == JsonValue.NULL
            ? Optional.empty()
            : Optional.of(Json.strings(json, "throttle_reasons")));
  }
}
