package dev.zeusd.client;

import java.time.Duration;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * What to take a lease of, and how.
 *
 * @param gpuIds of which GPUs
 * @param settingKeys which of their settings
 * @param ttl how long it lasts after its holder was last heard of, in whole seconds
 * @param patience how long to wait for another holder to end its own, in whole seconds
 * @param onEnd whether settings come back
 * @param keeping what keeps it alive
 */
public record LeaseRequest(
    List<Integer> gpuIds,
    Set<SettingKey> settingKeys,
    Duration ttl,
    Duration patience,
    OnEnd onEnd,
    Keeping keeping) {
  private static final Duration DEFAULT_TTL = Duration.ofSeconds(30);

  /** What becomes of the settings. */
  public enum OnEnd {
    /** They go back to what they were before. */
    RESTORE,
    /** They stay. */
    KEEP
  }

  /** What keeps a lease alive. */
  public enum Keeping {
    /** An open stream, which also breaks when this process is killed. */
    BY_STREAM,
    /** A renewal after each third of the TTL. */
    BY_RENEWING,
    /** Nothing: it ends after its TTL, unless {@link Lease#renew} is called. */
    NOT
  }

  /** Checks that something is asked for, for a second at least. */
  public LeaseRequest {
    gpuIds = List.copyOf(gpuIds);
    if (gpuIds.isEmpty() || settingKeys.isEmpty()) {
      throw new IllegalArgumentException("a lease is of at least one setting of one GPU");
    }
    settingKeys = Set.copyOf(EnumSet.copyOf(settingKeys));
    if (ttl.toSeconds() < 1 || patience.isNegative()) {
      throw new IllegalArgumentException("a TTL is of a second at least, a patience of 0");
    }
  }

  /**
   * {@return a request for settings that are put back at the end} A stream keeps the lease; without
   * it, it lasts for 30 s. Others are not waited for.
   *
   * @param gpuIds the GPUs, of which there must be one
   * @param settingKeys which settings of each of them
   */
  public static LeaseRequest of(Collection<Integer> gpuIds, Set<SettingKey> settingKeys) {
    return new LeaseRequest(
        List.copyOf(gpuIds),
        settingKeys,
        DEFAULT_TTL,
        Duration.ZERO,
        OnEnd.RESTORE,
        Keeping.BY_STREAM);
  }

  /**
   * {@return the same with this TTL}
   *
   * @param newTtl how long the lease lasts when it is not renewed, and nothing keeps it; a second
   *     at least
   */
  public LeaseRequest withTtl(Duration newTtl) {
    return new LeaseRequest(gpuIds, settingKeys, newTtl, patience, onEnd, keeping);
  }

  /**
   * {@return the same with this patience}
   *
   * @param newPatience how long to wait for others whose lease is in the way
   */
  public LeaseRequest withPatience(Duration newPatience) {
    return new LeaseRequest(gpuIds, settingKeys, ttl, newPatience, onEnd, keeping);
  }

  /**
   * {@return the same with this for the end}
   *
   * @param newOnEnd what becomes of the settings
   */
  public LeaseRequest withOnEnd(OnEnd newOnEnd) {
    return new LeaseRequest(gpuIds, settingKeys, ttl, patience, newOnEnd, keeping);
  }

  /**
   * {@return the same, kept so}
   *
   * @param newKeeping what keeps the lease from expiring
   */
  public LeaseRequest withKeeping(Keeping newKeeping) {
    return new LeaseRequest(gpuIds, settingKeys, ttl, patience, onEnd, newKeeping);
  }

  Target target() {
    return Target.of("/lease")
        .withIds("gpu_ids", gpuIds)
        .with("keys", String.join(",", settingKeys.stream().map(SettingKey::wireName).toList()))
        .with("ttl_s", ttl.toSeconds())
        .with("wait_s", patience.toSeconds())
        .with("on_end", onEnd == OnEnd.KEEP ? "keep" : "restore");
  }
}
