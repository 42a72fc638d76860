package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.util.List;

/**
 * An energy window that is open.
 *
 * @param id by which the daemon knows it
 * @param name as given when it began, or empty
 * @param owner who began it
 * @param gpuIds the GPUs that it measures
 * @param cpuIds the CPUs that it measures
 * @param startedMs when it began, in ms since 1970
 * @param expiresInMs until it is forgotten, in ms, if nobody ends it
 */
public record EnergyWindowInfo(
    String id,
    String name,
    String owner,
    List<Integer> gpuIds,
    List<Integer> cpuIds,
    long startedMs,
    long expiresInMs) {
  /** Keeps copies. */
  public EnergyWindowInfo {
    gpuIds = List.copyOf(gpuIds);
    cpuIds = List.copyOf(cpuIds);
  }

  static EnergyWindowInfo of(JsonObject json) {
    return new EnergyWindowInfo(
        json.getString("window_id"),
        json.getString("name", ""),
        json.getString("owner", ""),
        Json.ints(json, "gpu_ids"),
        Json.ints(json, "cpu_ids"),
        json.getJsonNumber("started_ms").longValue(),
        Json.optionalLong(json, "expires_in_ms").orElse(0));
  }
}
