package dev.zeusd.core.settings;

import java.time.Duration;

/**
 * From beginning to end of one lease, and when that end is. Guarded by the lock of {@link
 * SettingTable}; times are those of {@link Leases}' clock.
 */
final class LeaseTerm {
  private final Duration ttl;
  private Phase phase = Phase.TAKEN;
  private long expiresNanos;
  private int keepers;

  /** The process that it was taken from has died, and its holder has not been heard of since. */
  private boolean orphaned;

  private enum Phase {
    /** Nobody else can have the settings; what they are is being found out. */
    TAKEN,
    ACTIVE,
    ENDED
  }

  LeaseTerm(Duration ttl) {
    this.ttl = ttl;
  }

  /** Its holder has it now. */
  void begin(long nowNanos) {
    phase = Phase.ACTIVE;
    restart(nowNanos);
  }

  /** It goes on after the process that it was taken from has died. */
  void goOn(long nowNanos) {
    begin(nowNanos);
    orphaned = true;
  }

  /** Its holder has been heard of, and has another TTL. */
  void extend(long nowNanos) {
    heardOfHolder();
    restart(nowNanos);
  }

  void heardOfHolder() {
    orphaned = false;
  }

  private void restart(long nowNanos) {
    expiresNanos = nowNanos + ttl.toNanos();
  }

  /** Until as many have left as have come, it does not expire. */
  void keep(long nowNanos) {
    extend(nowNanos);
    keepers++;
  }

  void leave(long nowNanos) {
    keepers--;
    restart(nowNanos);
  }

  /** Its time is over, whatever was said before. */
  void expire(long nowNanos) {
    expiresNanos = nowNanos;
  }

  void end() {
    phase = Phase.ENDED;
  }

  boolean isActive() {
    return phase == Phase.ACTIVE;
  }

  boolean isOver() {
    return phase == Phase.ENDED;
  }

  boolean isKept() {
    return keepers > 0;
  }

  private boolean isRunningOut() {
    return isActive() && !isKept();
  }

  boolean isExpired(long nowNanos) {
    return isRunningOut() && expiresNanos - nowNanos <= 0;
  }

  /** How long it may be until it expires; for ever while somebody keeps it. */
  long restNanos(long nowNanos) {
    return isRunningOut() ? expiresNanos - nowNanos : Long.MAX_VALUE;
  }

  /** The same for people: the TTL while somebody keeps it, since that begins then. */
  long expiresInMs(long nowNanos) {
    return isRunningOut() ? Math.max(0, (expiresNanos - nowNanos) / 1_000_000) : ttl.toMillis();
  }

  /**
   * The same in words, of what others would like to have.
   *
   * @param endsWithProcess whether its holder keeps it as long as a process lives
   */
  String untilWhen(boolean endsWithProcess, long nowNanos) {
    if (endsWithProcess && isKept()) {
      return "until that ends";
    }
    return "for %d s %s"
        .formatted(
            Math.ceilDiv(expiresInMs(nowNanos), 1000),
            isKept() ? "after its holder lets go" : "unless it is renewed");
  }

  LeaseState state() {
    if (isKept()) {
      return LeaseState.KEPT;
    }
    return orphaned ? LeaseState.ORPHANED : LeaseState.ACTIVE;
  }
}
