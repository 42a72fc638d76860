package dev.zeusd.ffm.amdsmi;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Keeps calls of different GPUs apart, where the library needs that. Who would have to wait for one
 * that hangs is refused.
 */
final class OneAtATime {
  private final ReentrantLock lock = new ReentrantLock(true);
  private final long patienceNanos;
  private final boolean needed;
  private volatile long begunNanos;

  OneAtATime(long patienceNanos, boolean needed) {
    this.patienceNanos = patienceNanos;
    this.needed = needed;
  }

  boolean isNeeded() {
    return needed;
  }

  /** Waits for the others' calls; then {@link #leave} has to follow. */
  void enter(AmdSmiFunction function) throws AmdSmiException {
    if (!needed) {
      return;
    }
    try {
      boolean hangs = lock.isLocked() && System.nanoTime() - begunNanos > patienceNanos;
      if (lock.tryLock(hangs ? 0 : patienceNanos, TimeUnit.NANOSECONDS)) {
        begunNanos = System.nanoTime();
        return;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    throw new AmdSmiException(
        function.action()
            + ": a call for another AMD GPU does not end, and before ROCm 7.2 AMD SMI can make one"
            + " at a time; try again, or restart zeusd",
        AmdSmiStatus.BUSY);
  }

  void leave() {
    if (needed) {
      lock.unlock();
    }
  }
}
