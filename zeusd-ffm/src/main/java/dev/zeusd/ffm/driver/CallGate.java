package dev.zeusd.ffm.driver;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Lets calls of different callers run side by side, and holds them back while the library is opened
 * anew. Knows for how long each has been running, so that one that hangs need not be waited for.
 *
 * <p>Thread-safe. Entering and leaving allocates nothing.
 */
public final class CallGate {
  private static final long CLOSE_WAIT_NANOS = 200_000_000L;

  /** How long the driver may take to shut down before whoever closes goes on without it. */
  private static final Duration SHUTDOWN_WAIT = Duration.ofMillis(400);

  /** Who makes one call at a time. */
  public static final class Caller {
    private long enteredNanos;

    /** A caller who is not calling now. */
    public Caller() {}
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  // Guarded by the lock.
  private final List<Caller> inside = new ArrayList<>();
  private boolean held;
  private long lastEnteredNanos = System.nanoTime();

  /** An open gate. */
  public CallGate() {}

  /** Waits while calls are held back; not reentrant. */
  public void enter(Caller caller) {
    lock.lock();
    try {
      while (held) {
        changed.awaitUninterruptibly();
      }
      lastEnteredNanos = caller.enteredNanos = System.nanoTime();
      inside.add(caller);
    } finally {
      lock.unlock();
    }
  }

  /** The call of {@code caller} has ended. */
  public void leave(Caller caller) {
    lock.lock();
    try {
      inside.remove(caller);
      if (held) {
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Holds back who is not inside, until {@link #release}.
   *
   * @return false, and nothing is held, if somebody else has been holding for {@code limitNanos}
   */
  public boolean hold(long limitNanos) {
    lock.lock();
    try {
      long left = limitNanos;
      while (held && left > 0) {
        left = await(left);
      }
      boolean free = !held;
      held = true;
      return free;
    } finally {
      lock.unlock();
    }
  }

  /**
   * While calls are held back: waits for each call inside, but not longer than {@code limitNanos}
   * since it began.
   *
   * @return whether all have ended
   */
  public boolean awaitEmpty(long limitNanos) {
    lock.lock();
    try {
      long left = longestLeft(limitNanos);
      while (left > 0 && !Thread.currentThread().isInterrupted()) {
        await(left);
        left = longestLeft(limitNanos);
      }
      return inside.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  /** How long ago the last call began. */
  public long quietNanos() {
    lock.lock();
    try {
      return System.nanoTime() - lastEnteredNanos;
    } finally {
      lock.unlock();
    }
  }

  /** Whether a call has been running for {@code limitNanos}. */
  public boolean hasOlderThan(long limitNanos) {
    lock.lock();
    try {
      long now = System.nanoTime();
      return inside.stream().anyMatch(caller -> now - caller.enteredNanos >= limitNanos);
    } finally {
      lock.unlock();
    }
  }

  private long longestLeft(long limitNanos) {
    long now = System.nanoTime();
    long longest = 0;
    for (Caller caller : inside) {
      longest = Math.max(longest, caller.enteredNanos + limitNanos - now);
    }
    return longest;
  }

  private long await(long nanos) {
    try {
      return changed.awaitNanos(nanos);
    } catch (InterruptedException e) {
      // Who is interrupted is about to end, and does not wait.
      Thread.currentThread().interrupt();
      return 0;
    }
  }

  /**
   * Runs what shuts the library down. Calls that are running get a moment to end; with one that
   * hangs the library is left as it is, since the process is about to go anyway. So is a shutdown
   * that hangs itself, which is therefore on a thread of its own.
   *
   * @param threadName that thread's
   */
  public void shutDown(String threadName, Runnable shutdown) {
    try {
      Thread.ofPlatform()
          .daemon()
          .name(threadName)
          .start(() -> runWhileEmpty(shutdown))
          .join(SHUTDOWN_WAIT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void runWhileEmpty(Runnable shutdown) {
    if (!hold(CLOSE_WAIT_NANOS)) {
      return;
    }
    try {
      if (awaitEmpty(CLOSE_WAIT_NANOS)) {
        shutdown.run();
      }
    } finally {
      release();
    }
  }

  /** Lets calls in again. */
  public void release() {
    lock.lock();
    try {
      held = false;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
