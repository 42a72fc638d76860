package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A lease that there is.
 *
 * @param id by which the daemon knows it
 * @param holder who has it
 * @param gpuIds of which GPUs
 * @param settingKeyNames of which settings, as the daemon names them; {@link #settingKeys} has
 *     those that are known here
 * @param expiresInMs until it ends, in ms, unless it is renewed
 * @param stateName how it is, as the daemon names it; see {@link #state}
 * @param pid of the process that it was made for; empty for a lease that was asked for
 */
public record LeaseInfo(
    String id,
    String holder,
    List<Integer> gpuIds,
    List<String> settingKeyNames,
    long expiresInMs,
    String stateName,
    OptionalInt pid) {
  /** Keeps copies. */
  public LeaseInfo {
    gpuIds = List.copyOf(gpuIds);
    settingKeyNames = List.copyOf(settingKeyNames);
  }

  /** {@return of which settings, but for those that are unknown here} */
  public Set<SettingKey> settingKeys() {
    return WireNames.findAll(SettingKey.class, settingKeyNames);
  }

  /** {@return how it is} */
  public LeaseState state() {
    return WireNames.find(LeaseState.class, stateName).orElse(LeaseState.OTHER);
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
