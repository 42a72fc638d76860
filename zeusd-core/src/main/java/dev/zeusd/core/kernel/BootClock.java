package dev.zeusd.core.kernel;

import dev.zeusd.core.worker.NanoClock;
import java.util.function.LongSupplier;

/**
 * The time since the machine booted, in ns, which goes on while it sleeps. A counter may go on
 * then, too, or begin anew, and {@link System#nanoTime} stands still.
 *
 * <p>Thread-safe.
 */
public interface BootClock {
  /** The time now; never goes back. */
  long nanos();

  /** How much of {@link #nanos} the machine has slept. */
  long sleptNanos();

  /** The clock of this machine. */
  static BootClock system() {
    return new SystemBootClock(
        System::currentTimeMillis, System::nanoTime, SystemBootClock.uptimeFile());
  }

  /** The clock of a process that goes by {@code clock}. */
  static BootClock of(NanoClock clock) {
    return clock == NanoClock.SYSTEM ? system() : of(clock::nanoTime);
  }

  /** A clock that takes {@code nanoTime} for the time since the machine booted; it never slept. */
  static BootClock of(LongSupplier nanoTime) {
    return new BootClock() {
      @Override
      public long nanos() {
        return nanoTime.getAsLong();
      }

      @Override
      public long sleptNanos() {
        return 0;
      }
    };
  }
}
