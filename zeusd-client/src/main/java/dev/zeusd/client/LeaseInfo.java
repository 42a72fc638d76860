package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.util.List;
import java.util.OptionalInt;

/**
 * A lease that there is.
 *
 * @param id by which the daemon knows it
 * @param holder who has it
 * @param gpuIds of which GPUs
 * @param settingKeys of which settings, such as {@code power_limit}
 * @param expiresInMs until it ends, in ms, unless it is renewed
 * @param state {@code active}, {@code kept}, {@code orphaned} or {@code pending}
 * @param pid of the process that it was made for; empty for a lease that was asked for
 */
public record LeaseInfo(
    String id,
    String holder,
    List<Integer> gpuIds,
    List<String> settingKeys,
    long expiresInMs,
    String state,
    OptionalInt pid) {
  /** Keeps copies. */
  public LeaseInfo {
    gpuIds = List.copyOf(gpuIds);
    settingKeys = List.copyOf(settingKeys);
  }

  static LeaseInfo of(JsonObject json) {
    return new LeaseInfo(
        json.getString("lease_id"),
        json.getString("holder"),
        Json.ints(json, "gpu_ids"),
        Json.strings(json, "keys"),
        Json.optionalLong(json, "expires_in_ms").orElse(0),
        json.getString("state", ""),
        Json.optionalInt(json, "pid"));
  }
}
