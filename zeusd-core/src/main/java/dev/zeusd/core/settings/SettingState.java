package dev.zeusd.core.settings;

import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * What is known of one setting that is lent, or has to be put back. Guarded by the table's lock.
 */
final class SettingState {
  private static final long FIRST_RETRY_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final int MAX_DOUBLINGS = 5;

  final Setting setting;

  /** The lease that it is lent to. */
  Optional<Lease> holder = Optional.empty();

  /** What {@link #holder} has found, and goes back to; there before the lease is had. */
  Optional<SettingValue> found = Optional.empty();

  /** What has to be put back some time. */
  Optional<Change> change = Optional.empty();

  /** It is being put back just now. */
  boolean restoring;

  /** Why it could not be put back; empty if that was not tried. */
  Optional<String> failure = Optional.empty();

  /** When to try again, by the clock of {@link Leases}. */
  long retryNanos;

  /** The GPU's when that was last tried. */
  int triedGeneration = Change.UNKNOWN;

  private int failures;

  SettingState(Setting setting) {
    this.setting = setting;
  }

  boolean isFree() {
    return holder.isEmpty() && !restoring;
  }

  /** What a lease has left to put back; what a baseline asks for is nothing that was found. */
  Optional<Change> leasedChange() {
    return change.filter(each -> !each.isDemand());
  }

  /** Nobody has it, and it is not what it should be. */
  boolean isPending() {
    return holder.isEmpty() && change.isPresent();
  }

  boolean isForgettable() {
    return holder.isEmpty() && change.isEmpty() && !restoring;
  }

  /**
   * Whether it should be put back now.
   *
   * @param driverGeneration the GPU's now; empty if the GPU is not there
   */
  boolean isDue(long nowNanos, Optional<Integer> driverGeneration) {
    boolean isNew =
        failure.isEmpty()
            || driverGeneration.filter(generation -> generation != triedGeneration).isPresent();
    return isPending() && !restoring && (isNew || retryNanos - nowNanos <= 0);
  }

  /** Its holder does not have it any more. */
  void letGo() {
    holder = Optional.empty();
    found = Optional.empty();
  }

  void settled() {
    change = Optional.empty();
    failure = Optional.empty();
    failures = 0;
  }

  void failed(String why, long nowNanos) {
    failure = Optional.of(why);
    retryNanos = nowNanos + (FIRST_RETRY_NANOS << Math.min(failures, MAX_DOUBLINGS));
    failures++;
  }
}
