package dev.zeusd.ffm.fake;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;

/** Calls that are in a fake driver. */
public final class InFlight {
  private static final long LIMIT_NANOS = TimeUnit.SECONDS.toNanos(20);

  private InFlight() {}

  /** Waits until there are so many; {@code inFlight} tells how many there are. */
  public static void await(int calls, IntSupplier inFlight) throws InterruptedException {
    long start = System.nanoTime();
    while (inFlight.getAsInt() < calls) {
      assertTrue(
          System.nanoTime() - start < LIMIT_NANOS,
          () -> inFlight.getAsInt() + " calls are in the driver, and never " + calls);
      Thread.sleep(1);
    }
  }
}
