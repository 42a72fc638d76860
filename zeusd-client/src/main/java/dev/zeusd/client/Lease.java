package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Settings of GPUs that are this client's alone, until it ends. {@link #close} puts them back to
 * what they were, and so does the daemon when nothing keeps the lease any more. May be used from
 * any thread.
 */
public final class Lease implements AutoCloseable {
  private static final int GONE = 410;

  private final Http http;
  private final LeaseRequest request;
  private final String id;
  private final long epoch;
  private final boolean crashSafe;
  private final GpuSettings settings;
  private final LeaseKeeper keeper;

  private Lease(Http http, LeaseRequest request, JsonObject taken) {
    this.http = http;
    this.request = request;
    this.id = taken.getString("lease_id");
    this.epoch = taken.getJsonNumber("epoch").longValue();
    this.crashSafe = taken.getBoolean("crash_safe", false);
    this.settings = new GpuSettings(http, Map.of("Zeusd-Lease", id + ":" + epoch), true);
    this.keeper = new LeaseKeeper(http, id, request);
  }

  static Lease take(Http http, LeaseRequest request) {
    Http.Text answer = http.postOnce(request.target(), request.patience().toMillis());
    Lease lease = Json.understood(() -> new Lease(http, request, answer.json()));
    lease.keeper.start();
    return lease;
  }

  /** {@return its id, by which the daemon knows it; whoever has it can use the lease} */
  public String id() {
    return id;
  }

  /** {@return its number, which grows from lease to lease} */
  public long epoch() {
    return epoch;
  }

  /** {@return what was asked for} */
  public LeaseRequest request() {
    return request;
  }

  /** {@return whether settings come back even if the daemon is killed and started again} */
  public boolean isCrashSafe() {
    return crashSafe;
  }

  /**
   * {@return whether it has ended though nobody here has ended it: an admin has, or the daemon was
   * away for too long} Its settings are somebody else's now.
   */
  public boolean isLost() {
    return keeper.isLost();
  }

  /**
   * Changes what the lease is of.
   *
   * @return settings that are written by this lease
   */
  public GpuSettings settings() {
    return settings;
  }

  /**
   * Lets it last for another TTL.
   *
   * @throws ZeusdException with the status 410 if it has ended
   */
  public void renew() {
    keeper.renew();
  }

  /**
   * Ends it, and puts the settings back.
   *
   * @return what became of each setting
   * @throws ZeusdException if the daemon is not reached, which then puts them back when the TTL is
   *     over; with the status 410 if it had ended before
   */
  public List<Restored> end() {
    keeper.close();
    Http.Text answer = http.post(Target.of("/lease/end").with("lease_id", id), Map.of());
    JsonObject byGpu = Json.member(answer.json(), "gpus");
    return Json.understood(() -> Restored.all(byGpu));
  }

  /**
   * What became of a setting.
   *
   * @param gpu the GPU's id, or its UUID if it is gone
   * @param settingKeyName which setting, as the daemon names it; see {@link #settingKey}
   * @param outcomeName what became of it, as the daemon names it; see {@link #outcome}
   * @param problem why it is pending or impossible, for people
   */
  public record Restored(
      String gpu, String settingKeyName, String outcomeName, Optional<String> problem) {
    /** In short. */
    public enum Outcome {
      /** It is what it was before. */
      RESTORED,
      /** The lease had not touched it. */
      UNCHANGED,
      /** Somebody else has set another value, which is left. */
      OVERRIDDEN,
      /** It was to be kept. */
      KEPT,
      /** It is not back yet, and will be tried again. */
      PENDING,
      /** A baseline asks for what this GPU does not have. */
      IMPOSSIBLE,
      /** A newer daemon has a name for it that is unknown here: {@link Restored#outcomeName}. */
      OTHER
    }

    /** {@return which setting; empty for one that is unknown here} */
    public Optional<SettingKey> settingKey() {
      return WireNames.find(SettingKey.class, settingKeyName);
    }

    /** {@return what became of it} */
    public Outcome outcome() {
      return WireNames.find(Outcome.class, outcomeName).orElse(Outcome.OTHER);
    }

    private static List<Restored> all(JsonObject byGpu) {
      List<Restored> all = new ArrayList<>();
      byGpu.forEach(
          (gpu, keys) ->
              keys.asJsonObject()
                  .forEach((key, result) -> all.add(of(gpu, key, result.asJsonObject()))));
      return List.copyOf(all);
    }

    private static Restored of(String gpu, String key, JsonObject json) {
      return new Restored(
          gpu, key, json.getString("result", "unknown"), Json.optionalString(json, "error"));
    }
  }

  /**
   * As {@link #end}, but a lease that has ended before is no failure.
   *
   * @throws ZeusdException if the daemon is not reached, or fails
   */
  @Override
  public void close() {
    try {
      end();
    } catch (ZeusdException e) {
      if (e.status().orElse(0) != GONE) {
        throw e;
      }
    }
  }
}
