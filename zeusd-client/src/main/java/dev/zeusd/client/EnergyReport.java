package dev.zeusd.client;

import jakarta.json.JsonObject;

/**
 * The energy of a window of time.
 *
 * @param name as given when it began, or empty
 * @param seconds how long it took, or has taken so far
 * @param gpus of each GPU
 * @param cpus of each CPU
 * @param totalJ in all, in J
 */
public record EnergyReport(
    String name, double seconds, PerDevice<Gpu> gpus, PerDevice<CpuEnergy> cpus, double totalJ) {
  /**
   * The energy of a GPU.
   *
   * @param energyMj in mJ, unsigned
   * @param method {@code counter} if the GPU counts it, {@code integrated} if the daemon adds its
   *     power up
   * @param gapMs for how much of the window nothing is known, in ms
   */
  public record Gpu(long energyMj, String method, long gapMs) {
    private static Gpu of(JsonObject json) {
      return new Gpu(
          Json.unsigned(json, "energy_mj"),
          json.getString("method", "counter"),
          Json.optionalLong(json, "gap_ms").orElse(0));
    }
  }

  static EnergyReport of(Http.Text answer) {
    JsonObject json = answer.json();
    return Json.understood(
        () ->
            new EnergyReport(
                Json.optionalString(json, "name").orElse(""),
                json.getJsonNumber("seconds").doubleValue(),
                Json.perDevice(
                    answer,
                    "GPU",
                    json.getJsonObject("gpus"),
                    (gpus, id) -> Gpu.of(gpus.getJsonObject(id))),
                Json.perDevice(
                    answer,
                    "CPU",
                    json.getJsonObject("cpus"),
                    (cpus, id) -> CpuEnergy.of(cpus.getJsonObject(id))),
                json.getJsonNumber("total_j").doubleValue()));
  }
}
