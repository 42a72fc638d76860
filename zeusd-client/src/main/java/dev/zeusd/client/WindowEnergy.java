package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.time.Duration;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * The energy of a window of time.
 *
 * @param name as given when it began, or empty
 * @param startedMs when it began, in ms since 1970
 * @param elapsed how long it took, or has taken so far
 * @param gpus of each GPU
 * @param cpus of each CPU
 * @param totalJoules in all, in J; what holds others that are counted is not in it
 */
public record WindowEnergy(
    String name,
    long startedMs,
    Duration elapsed,
    PerDevice<OfGpu> gpus,
    PerDevice<OfCpu> cpus,
    double totalJoules) {
  /** Where an energy comes from. */
  public enum Method {
    /** The device counts it. */
    COUNTER,
    /** The device does not, so it is the sum of its power, at the rate at which that is read. */
    INTEGRATED,
    /** A newer daemon has a name for it that is unknown here: {@link OfGpu#methodName}. */
    OTHER
  }

  /**
   * The energy of a GPU.
   *
   * @param energyMj in mJ
   * @param methodName where it comes from, as the daemon names it; see {@link #method}
   * @param gapMs for how long nobody looked after it, in ms
   * @param missingMs the part of that whose energy is not in {@code energyMj}, in ms
   */
  public record OfGpu(long energyMj, String methodName, long gapMs, long missingMs) {
    /** {@return where it comes from} */
    public Method method() {
      return WireNames.find(Method.class, methodName).orElse(Method.OTHER);
    }

    private static OfGpu of(JsonObject json) {
      return new OfGpu(
          json.getJsonNumber("energy_mj").longValue(),
          json.getString("method", "counter"),
          Json.optionalLong(json, "gap_ms").orElse(0),
          Json.optionalLong(json, "missing_ms").orElse(0));
    }
  }

  /**
   * The energy of a CPU.
   *
   * @param cpuEnergyUj of the package, in µJ
   * @param dramEnergyUj of its memory, in µJ; empty if that is not measured, or cannot be read
   * @param gapMs as for a GPU
   * @param missingMs as for a GPU
   */
  public record OfCpu(long cpuEnergyUj, OptionalLong dramEnergyUj, long gapMs, long missingMs) {
    private static OfCpu of(JsonObject json) {
      return new OfCpu(
          json.getJsonNumber("cpu_energy_uj").longValue(),
          Json.optionalLong(json, "dram_energy_uj"),
          Json.optionalLong(json, "gap_ms").orElse(0),
          Json.optionalLong(json, "missing_ms").orElse(0));
    }
  }

  static WindowEnergy of(JsonObject json) {
    return Json.understood(
        () ->
            new WindowEnergy(
                Json.optionalString(json, "name").orElse(""),
                json.getJsonNumber("started_ms").longValue(),
                Duration.ofNanos(Math.round(json.getJsonNumber("seconds").doubleValue() * 1e9)),
                devices(json, "gpus", OfGpu::of),
                devices(json, "cpus", OfCpu::of),
                json.getJsonNumber("total_j").doubleValue()));
  }

  private static <T> PerDevice<T> devices(
      JsonObject json, String kind, Function<JsonObject, T> read) {
    SortedMap<Integer, T> values = new TreeMap<>();
    json.getJsonObject(kind)
        .forEach((id, value) -> values.put(Integer.parseInt(id), read.apply(value.asJsonObject())));
    SortedMap<Integer, String> errors = new TreeMap<>();
    JsonObject all = json.getJsonObject("errors");
    if (all != null && all.getJsonObject(kind) != null) {
      JsonObject ofKind = all.getJsonObject(kind);
      ofKind.keySet().forEach(id -> errors.put(Integer.parseInt(id), ofKind.getString(id)));
    }
    return new PerDevice<>(values, errors);
  }
}
