package dev.zeusd.core.sampling;

import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;

/**
 * One thread's time as the one that ticks: which tick it has come to, whether it is in a call of a
 * device, and the alarm that wakes whoever stands by if it does not come out.
 *
 * <p>That thread says what it does; for others it is thread-safe.
 */
final class Lead {
  /** A call that takes longer is taken for one that hangs. */
  static final Duration GRACE = Duration.ofMillis(10);

  private static final long NO_CALL = Long.MIN_VALUE;

  private final NanoClock clock;
  private final TickSchedule schedule;
  private volatile boolean isOver;

  /** The one that ticks; guarded by the {@link Ticker}. */
  Thread thread;

  /** Wakes who stands by, or null as long as there is none. */
  private volatile NanoClock.Alarm alarm;

  /** The beginning of the call that is under way. */
  private volatile long callSinceNanos = NO_CALL;

  /** The tick that is next or under way. */
  private volatile long dueNanos;

  private Lead(NanoClock clock, TickSchedule schedule, long dueNanos) {
    this.clock = clock;
    this.schedule = schedule;
    this.dueNanos = dueNanos;
  }

  /** The first one; it ticks a period from now for the first time. */
  static Lead first(NanoClock clock, long periodNanos) {
    TickSchedule schedule = new TickSchedule(clock.nanoTime(), periodNanos);
    return new Lead(clock, schedule, schedule.first());
  }

  /** Ends this one, which is stuck; the next one goes on with the tick that it has come to. */
  Lead next() {
    isOver = true;
    return new Lead(clock, schedule, dueNanos);
  }

  /** Whether another thread ticks now, or none. */
  boolean isOver() {
    return isOver;
  }

  /** Ends it, and the wait of whoever stands by. */
  void end() {
    isOver = true;
    clock.unpark(thread);
    NanoClock.Alarm set = alarm;
    if (set != null) {
      set.close();
    }
  }

  // ---- For the thread that ticks ----

  long dueNanos() {
    return dueNanos;
  }

  /** The tick that was due at {@code nanos}, by the clock, is over. */
  void endTick(long nanos) {
    dueNanos = schedule.next(nanos, clock.nanoTime());
    NanoClock.Alarm set = alarm;
    if (set != null) {
      set.setFor(dueNanos + GRACE.toNanos());
    }
  }

  /** A device is called from now on. */
  void beginCall(long nowNanos) {
    callSinceNanos = nowNanos;
  }

  /** It has answered. */
  void endCall() {
    callSinceNanos = NO_CALL;
  }

  // ---- For the one that stands by ----

  /** Returns true once it is stuck in a call, and false once it is over. */
  boolean awaitHang() {
    // Made here, since the first alarm of a process takes longer than many ticks.
    try (NanoClock.Alarm own = clock.newAlarm()) {
      alarm = own;
      while (!isOver) {
        long nowNanos = clock.nanoTime();
        long callNanos = callSinceNanos;
        long nextNanos = dueNanos;
        if (callNanos != NO_CALL) {
          if (nowNanos - callNanos >= GRACE.toNanos() && callSinceNanos == callNanos) {
            return true;
          }
          nextNanos = callNanos;
        } else if (nextNanos - nowNanos < 0) {
          nextNanos = nowNanos;
        }
        own.setFor(nextNanos + GRACE.toNanos());
        own.await();
      }
      return false;
    }
  }
}
