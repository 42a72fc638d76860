package dev.zeusd.core.worker;

import dev.zeusd.ffm.posix.KernelTimer;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/** The alarm of this machine. */
final class SystemAlarm {
  /** How often a thread looks at its alarm where the kernel has no timer for it. */
  private static final Duration LOOK_INTERVAL = Duration.ofMillis(300);

  private SystemAlarm() {}

  static NanoClock.Alarm make() {
    try {
      return new ByTimer(new KernelTimer());
    } catch (IllegalStateException | UnsupportedOperationException e) {
      // No more files can be opened, or this is another system: later is better than never.
      return new ByLooking();
    }
  }

  private record ByTimer(KernelTimer timer) implements NanoClock.Alarm {
    @Override
    public void setFor(long nanos) {
      timer.expireIn(Duration.ofNanos(nanos - System.nanoTime()));
    }

    @Override
    public void await() {
      timer.await();
    }

    @Override
    public void close() {
      timer.close();
    }
  }

  /** Rings late, by {@link #LOOK_INTERVAL} at most, and also for no reason. */
  private static final class ByLooking implements NanoClock.Alarm {
    private volatile boolean isClosed;

    @Override
    public void setFor(long nanos) {}

    @Override
    public void await() {
      if (!isClosed) {
        LockSupport.parkNanos(this, LOOK_INTERVAL.toNanos());
      }
    }

    @Override
    public void close() {
      isClosed = true;
    }
  }
}
