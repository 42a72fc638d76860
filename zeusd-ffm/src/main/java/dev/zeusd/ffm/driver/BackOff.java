package dev.zeusd.ffm.driver;

/**
 * When to try again what fails: a few times at once, and then after times that double.
 *
 * <p>Not thread-safe.
 */
public final class BackOff {
  private final int free;
  private final long minNanos;
  private final long maxNanos;
  private int failures;
  private long untilNanos;

  /** Waits for {@code minNanos} after {@code free} failures and one more, and then for longer. */
  public BackOff(int free, long minNanos, long maxNanos) {
    this.free = free;
    this.minNanos = minNanos;
    this.maxNanos = maxNanos;
  }

  /** Whether it is too early to try again. */
  public boolean isWaiting() {
    return waitNanos() > 0;
  }

  /** For how long it is too early, in ns; not positive if it is not. */
  public long waitNanos() {
    return failures > free ? untilNanos - System.nanoTime() : 0;
  }

  /** It has failed. */
  public void failed() {
    failures++;
    if (failures > free) {
      int doublings = Math.min(failures - free - 1, Long.numberOfLeadingZeros(minNanos) - 2);
      untilNanos = System.nanoTime() + Math.min(minNanos << doublings, maxNanos);
    }
  }

  /** It has worked, or may be tried anew for another reason. */
  public void reset() {
    failures = 0;
  }

  /** Whether it failed the last time. */
  public boolean hasFailed() {
    return failures > 0;
  }
}
