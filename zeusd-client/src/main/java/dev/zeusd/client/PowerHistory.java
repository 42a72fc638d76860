package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * Power in the past. A step in which a device did not answer is left out.
 *
 * @param <T> what there is of each device: {@link PowerStep}s of a GPU, {@link OfCpu} of a CPU
 * @param fromMs when the first step begins, in ms since 1970
 * @param toMs when the last one ends
 * @param stepMs how long each is, in ms
 * @param devices by their ids, ascending
 */
public record PowerHistory<T>(long fromMs, long toMs, long stepMs, SortedMap<Integer, T> devices) {
  /** Keeps a copy. */
  public PowerHistory {
    devices = Collections.unmodifiableSortedMap(new TreeMap<>(devices));
  }

  /**
   * Of a CPU.
   *
   * @param cpu the power of the package
   * @param dram the power of its memory; empty if that is not measured
   */
  public record OfCpu(List<PowerStep> cpu, List<PowerStep> dram) {
    /** Keeps copies. */
    public OfCpu {
      cpu = List.copyOf(cpu);
      dram = List.copyOf(dram);
    }
  }

  static PowerHistory<List<PowerStep>> ofGpus(JsonObject json) {
    return of(json, steps -> list(json, steps));
  }

  static PowerHistory<OfCpu> ofCpus(JsonObject json) {
    return of(
        json,
        both ->
            new OfCpu(
                list(json, both.getJsonObject("cpu_mw")),
                both.isNull("dram_mw") ? List.of() : list(json, both.getJsonObject("dram_mw"))));
  }

  private static <T> PowerHistory<T> of(JsonObject json, Function<JsonObject, T> read) {
    return Json.understood(
        () -> {
          SortedMap<Integer, T> byId = new TreeMap<>();
          json.getJsonObject("power_mw")
              .forEach(
                  (id, steps) -> byId.put(Integer.parseInt(id), read.apply(steps.asJsonObject())));
          return new PowerHistory<>(
              number(json, "from_ms"), number(json, "to_ms"), number(json, "step_ms"), byId);
        });
  }

  private static List<PowerStep> list(JsonObject json, JsonObject steps) {
    return PowerStep.list(number(json, "from_ms"), number(json, "step_ms"), steps);
  }

  private static long number(JsonObject json, String name) {
    return json.getJsonNumber(name).longValue();
  }
}
