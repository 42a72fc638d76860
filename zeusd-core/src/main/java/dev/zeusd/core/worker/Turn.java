package dev.zeusd.core.worker;

import java.time.Duration;
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
  /**
   * A device whose calls take longer is not asked on the thread of a request, which asks one after
   * the other. To wake the devices' threads takes as long as two such calls, more while the code is
   * cold.
   */
  private static final long QUICK_NANOS = 100_000;

  /** How often to look whether another one's quick call is over; together a few microseconds. */
  private static final int LOOKS_FOR_IDLE = 100;

  private final Carriers carriers;
  private final NanoClock clock;

  /** Held during each call of the device. */
  private final ReentrantLock calling = new ReentrantLock();

  /** How long calls took lately: the longest one, fading with each that follows. */
  private volatile long recentNanos;

  /** When whoever has it took it; 0 while nobody has it. */
  private volatile long takenNanos;

  /** How long it was yielded so far. Of whoever has it. */
  private long yieldedNanos;

  /**
   * By {@link System#nanoTime}, as those have it who wait: until when the work that it was yielded
   * for last may take; once that is over, when that was.
   */
  private volatile long elsewhereUntilNanos = System.nanoTime() - Answer.PATIENCE.toNanos();

  /** Nobody's; {@code carriers} are those that guests may pin. */
  Turn(Carriers carriers, NanoClock clock) {
    this.carriers = carriers;
    this.clock = clock;
  }

  /** Whether it is the calling thread's. */
  boolean isMine() {
    return calling.isHeldByCurrentThread();
  }

  /** Waits for it. */
  void take() {
    calling.lock();
    takenNanos = clock.nanoTime();
  }

  /** Takes it if nobody has it. */
  boolean tryTake() {
    boolean taken = calling.tryLock();
    if (taken) {
      takenNanos = clock.nanoTime();
    }
    return taken;
  }

  /** After {@link #take} or {@link #tryTake}. */
  void release() {
    takenNanos = 0;
    calling.unlock();
  }

  /**
   * Lets others have it while {@code work} runs, which calls no device; for who has it once.
   *
   * @param atMost how long that may take
   */
  void yieldFor(Duration atMost, Runnable work) {
    if (!isMine()) {
      work.run();
      return;
    }
    release();
    long start = clock.nanoTime();
    elsewhereUntilNanos = System.nanoTime() + atMost.toNanos();
    try {
      work.run();
    } finally {
      elsewhereUntilNanos = System.nanoTime();
      take();
      yieldedNanos += clock.nanoTime() - start;
    }
  }

  /**
   * Whether work that it was yielded for runs, as it may, or has ended within {@code nanos}; work
   * that takes longer than it may is not waited for.
   */
  boolean isYieldedOrWasWithin(long nanos) {
    return elsewhereUntilNanos + nanos - System.nanoTime() > 0;
  }

  /** For how long somebody has had it; 0 while nobody does. */
  long heldNanos() {
    long since = takenNanos;
    return since == 0 ? 0 : clock.nanoTime() - since;
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

  /** Makes a call, by whoever has this turn; the time that it yields it is not the device's. */
  <T> T timed(Supplier<T> call) {
    long yieldedBefore = yieldedNanos;
    long start = clock.nanoTime();
    try {
      return call.get();
    } finally {
      noteTime(clock.nanoTime() - start - (yieldedNanos - yieldedBefore));
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
        if (isIdle.getAsBoolean() && carriers.tryPin()) {
          takenNanos = clock.nanoTime();
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
    carriers.unpin();
    takenNanos = 0;
    calling.unlock();
  }
}
