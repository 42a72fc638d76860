package dev.zeusd.core.sampling;

/**
 * Moments one period apart, by a clock that nobody sets: to be late for one of them moves no later
 * one.
 */
record TickSchedule(long epochNanos, long periodNanos) {
  /** The first one, a period after the epoch. */
  long first() {
    return epochNanos + periodNanos;
  }

  /** The one after {@code nanos}, or the newest that is due by now: late, not lost. */
  long next(long nanos, long nowNanos) {
    return epochNanos + Math.max(numberAt(nanos) + 1, numberAt(nowNanos)) * periodNanos;
  }

  private long numberAt(long nanos) {
    return Math.floorDiv(nanos - epochNanos, periodNanos);
  }
}
