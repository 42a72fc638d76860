package dev.zeusd.core.sampling;

import dev.zeusd.core.worker.NanoClock;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * The time that readings carry: the wall clock's, but that it never goes back. When the wall clock
 * is set back, this one goes on by the monotonic clock, until the wall clock is as far again.
 *
 * <p>Thread-safe. All readings of a process, and whatever is compared with them, have their time of
 * one clock, {@link #SYSTEM}.
 */
public final class TimestampClock {
  /** The clock of this process. */
  public static final TimestampClock SYSTEM =
      new TimestampClock(System::currentTimeMillis, System::nanoTime);

  private final LongSupplier wallMs;
  private final LongSupplier nanoTime;

  /** The farthest that the wall clock was ever ahead of the monotonic one, in ns. */
  private final AtomicLong aheadNanos = new AtomicLong(Long.MIN_VALUE);

  /**
   * {@return the readings' time in a process that goes by {@code clock}}
   *
   * @param clock the clock of the process
   */
  public static TimestampClock of(NanoClock clock) {
    return clock == NanoClock.SYSTEM ? SYSTEM : new TimestampClock(clock::wallMs, clock::nanoTime);
  }

  /**
   * A clock from clocks.
   *
   * @param wallMs the wall clock, in ms since 1970; may be set at any time
   * @param nanoTime the monotonic clock, in ns since any moment
   */
  public TimestampClock(LongSupplier wallMs, LongSupplier nanoTime) {
    this.wallMs = wallMs;
    // The first time is 0, so that a value that overflows does not matter.
    long startNanos = nanoTime.getAsLong();
    this.nanoTime = () -> nanoTime.getAsLong() - startNanos;
  }

  /** {@return the time now, in ms since 1970} */
  public long nowMs() {
    // In this order: a thread that is stopped between the two takes the wall clock for less far
    // ahead than it is, so no delay can ever push this clock forward.
    long wallNanos = TimeUnit.MILLISECONDS.toNanos(wallMs.getAsLong());
    long now = nanoTime.getAsLong();
    long ahead = aheadNanos.get();
    if (wallNanos - now > ahead) {
      ahead = aheadNanos.accumulateAndGet(wallNanos - now, Math::max);
    }
    return TimeUnit.NANOSECONDS.toMillis(now + ahead);
  }
}
