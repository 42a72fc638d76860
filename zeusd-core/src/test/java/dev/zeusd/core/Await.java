package dev.zeusd.core;

import static org.junit.jupiter.api.Assertions.fail;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.util.Arrays;
import java.util.Set;
import java.util.function.LongSupplier;
import java.util.stream.Stream;

/** Waiting for what must happen, with a limit that only a failure reaches. */
public final class Await {
  private static final long LIMIT_NANOS = 20_000_000_000L;

  /** One that just begins is seen in the next one. */
  private static final int LOOKS_FOR_REST = 2;

  /** Threads that play the hardware, or time. */
  private static final Set<String> OF_TESTS = Set.of(Metronome.THREAD_NAME, FakeHwmon.THREAD_NAME);

  private Await() {}

  /** What is waited for; an exception fails the test. */
  public interface Condition {
    boolean holds() throws Exception;
  }

  public static void until(String what, Condition condition) throws InterruptedException {
    long start = System.nanoTime();
    while (!holds(what, condition)) {
      if (System.nanoTime() - start > LIMIT_NANOS) {
        fail("never: " + what);
      }
      Thread.sleep(5);
    }
  }

  private static boolean holds(String what, Condition condition) {
    try {
      return condition.holds();
    } catch (Exception e) {
      throw new AssertionError(what + ": " + e, e);
    }
  }

  /** Waits until one counter has stood still while another one made so many steps. */
  public static void still(String what, LongSupplier still, int steps, LongSupplier other)
      throws InterruptedException {
    long[] last = {still.getAsLong(), other.getAsLong()};
    until(
        what,
        () -> {
          long now = still.getAsLong();
          last[1] = now == last[0] ? last[1] : other.getAsLong();
          last[0] = now;
          return other.getAsLong() >= last[1] + steps;
        });
  }

  /**
   * Waits until no device will be called unless somebody asks: each thread that is in code of
   * zeusd's core waits, and for no time. So nobody need wait to see that nothing happens.
   */
  public static void rest() throws InterruptedException {
    int[] looks = {0};
    try {
      until(
          "all threads are at rest",
          () -> {
            looks[0] = isAtRest() ? looks[0] + 1 : 0;
            return looks[0] >= LOOKS_FOR_REST;
          });
    } catch (AssertionError e) {
      throw new AssertionError(e.getMessage() + ", but " + busy().toList(), e);
    }
  }

  /** How many threads have this name, as a {@code GPU power} while power is sampled. */
  public static long threads(String name) {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().equals(name))
        .count();
  }

  /** Whether {@link #rest} would return at once. */
  public static boolean isAtRest() {
    return busy().findAny().isEmpty();
  }

  private static Stream<ThreadInfo> busy() {
    long own = Thread.currentThread().threadId();
    return Arrays.stream(ManagementFactory.getThreadMXBean().dumpAllThreads(false, false))
        .filter(
            thread ->
                thread.getThreadId() != own
                    && !OF_TESTS.contains(thread.getThreadName())
                    && thread.getThreadState() != Thread.State.WAITING
                    && Arrays.stream(thread.getStackTrace()).anyMatch(Await::isOfDevices));
  }

  private static boolean isOfDevices(StackTraceElement frame) {
    String name = frame.getClassName();
    return name.startsWith("dev.zeusd.core.") || name.startsWith("dev.zeusd.ffm.");
  }
}
