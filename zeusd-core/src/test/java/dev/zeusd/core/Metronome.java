package dev.zeusd.core;

import java.util.concurrent.locks.LockSupport;

/**
 * Sleeps from one ms to the next, as the sampler's threads do, and counts: a clock that runs slower
 * where the machine is too busy to wake a thread in time.
 */
public final class Metronome implements AutoCloseable {
  static final String THREAD_NAME = "metronome";

  private final Thread thread = Thread.ofPlatform().daemon().name(THREAD_NAME).start(this::run);
  private volatile long beats;
  private volatile boolean closed;

  /** How many milliseconds it was awake in. */
  public long beats() {
    return beats;
  }

  private void run() {
    long epoch = System.nanoTime();
    long beat = 0;
    while (!closed) {
      LockSupport.parkNanos(epoch + (beat + 1) * 1_000_000 - System.nanoTime());
      long now = (System.nanoTime() - epoch) / 1_000_000;
      if (now > beat) {
        beat = now;
        beats = beats + 1;
      }
    }
  }

  @Override
  public void close() {
    closed = true;
    LockSupport.unpark(thread);
  }
}
