package dev.zeusd.core;

import static org.junit.jupiter.api.Assertions.fail;

import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/** Waiting for what must happen, with a limit that only a failure reaches. */
public final class Await {
  private static final long LIMIT_NANOS = 20_000_000_000L;

  private Await() {}

  public static void until(String what, BooleanSupplier condition) throws InterruptedException {
    long start = System.nanoTime();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - start > LIMIT_NANOS) {
        fail("never: " + what);
      }
      Thread.sleep(5);
    }
  }

  /** Waits until a counter has stood still for a while. */
  public static void quiet(String what, LongSupplier counter) throws InterruptedException {
    long start = System.nanoTime();
    long last = counter.getAsLong();
    for (int still = 0; still < 30; still++) {
      Thread.sleep(10);
      long now = counter.getAsLong();
      if (now != last) {
        last = now;
        still = 0;
      }
      if (System.nanoTime() - start > LIMIT_NANOS) {
        fail("never quiet: " + what);
      }
    }
  }
}
