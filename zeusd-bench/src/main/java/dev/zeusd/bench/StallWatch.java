package dev.zeusd.bench;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Notices when the whole machine stands still, as a virtual one does that its host pauses: then a
 * thread that only sleeps wakes up far too late. What was measured meanwhile is nobody's doing.
 */
final class StallWatch implements AutoCloseable {
  private static final long NAP_MILLIS = 20;

  private final Thread thread = new Thread(this::watch, "stall watch");
  private final AtomicLong longestNanos = new AtomicLong();

  StallWatch() {
    thread.setDaemon(true);
    thread.start();
  }

  private void watch() {
    try {
      while (true) {
        long start = System.nanoTime();
        Thread.sleep(NAP_MILLIS);
        longestNanos.accumulateAndGet(System.nanoTime() - start, Math::max);
      }
    } catch (InterruptedException e) {
      // Closed.
    }
  }

  /** The longest time without a wake-up since this was asked last. */
  long takeLongestMillis() {
    return TimeUnit.NANOSECONDS.toMillis(longestNanos.getAndSet(0));
  }

  @Override
  public void close() {
    thread.interrupt();
  }
}
