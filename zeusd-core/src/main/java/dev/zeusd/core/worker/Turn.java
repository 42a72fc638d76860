package dev.zeusd.core.worker;

import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * The right to call a device, which one thread has at a time: the device's own, the ticker's, or
 * that of a request. Whoever has it tells how long the call took.
 *
 * <p>Thread-safe. A thread that has it may take it again.
 */
final class Turn {
  /** A device whose calls take longer is not asked on the thread of a request. */
  private static final long QUICK_NANOS = 50_000;

  /** How often to look whether another one's quick call is over; together a few microseconds. */
  private static final int LOOKS_FOR_IDLE = 100;

  /**
   * How many virtual threads at a time may be in a call: a call into the driver pins its carrier,
   * and should it hang, at least one carrier is left for everybody else.
   */
  private static final Semaphore CARRIERS_TO_PIN =
      new Semaphore(
          Integer.getInteger(
                  "jdk.virtualThreadScheduler.parallelism",
                  Runtime.getRuntime().availableProcessors())
              - 1);

  private final NanoClock clock;

  /** Held during each call of the device. */
  private final ReentrantLock calling = new ReentrantLock();

  /** How long calls took lately: the longest one, fading with each that follows. */
  private volatile long recentNanos;

  Turn(NanoClock clock) {
    this.clock = clock;
  }

  /** Whether it is the calling thread's. */
  boolean isMine() {
    return calling.isHeldByCurrentThread();
  }

  /** Waits for it. */
  void take() {
    calling.lock();
  }

  /** Takes it if nobody has it. */
  boolean tryTake() {
    return calling.tryLock();
  }

  /** After {@link #take} or {@link #tryTake}. */
  void release() {
    calling.unlock();
  }

  /** How long calls took lately, in ns. */
  long recentNanos() {
    return recentNanos;
  }

  boolean isQuick() {
    return recentNanos <= QUICK_NANOS;
  }

  /** A call took so long. */
  void noteTime(long tookNanos) {
    recentNanos = Math.max(tookNanos, recentNanos - recentNanos / 8);
  }

  /** Makes a call, by whoever has this turn. */
  <T> T timed(Supplier<T> call) {
    long start = clock.nanoTime();
    try {
      return call.get();
    } finally {
      noteTime(clock.nanoTime() - start);
    }
  }

  /**
   * Takes it for the thread of a request, if the device is quick, nobody has its turn, and {@code
   * isIdle}: nobody waits for it.
   */
  boolean tryTakeAsGuest(BooleanSupplier isIdle) {
    for (int look = 0; isQuick() && look < LOOKS_FOR_IDLE && isIdle.getAsBoolean(); look++) {
      if (calling.tryLock()) {
        // Who waits counts as waiting until it has the turn, so none is overtaken.
        if (isIdle.getAsBoolean()
            && (!Thread.currentThread().isVirtual() || CARRIERS_TO_PIN.tryAcquire())) {
          return true;
        }
        calling.unlock();
      }
      Thread.onSpinWait();
    }
    return false;
  }

  /** After {@link #tryTakeAsGuest}. */
  void releaseAsGuest() {
    if (Thread.currentThread().isVirtual()) {
      CARRIERS_TO_PIN.release();
    }
    calling.unlock();
  }
}
