package dev.zeusd.core.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.testkit.TestClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** When a driver that nobody uses is let go of, in a time of the test's own. */
@Timeout(60)
class IdleReleaseTest {
  private static final long SECOND = 1_000_000_000L;
  private static final Duration IDLE = Duration.ofSeconds(60);

  private final TestClock clock = new TestClock();
  private final List<Long> releasedS = Collections.synchronizedList(new ArrayList<>());
  private volatile long calledNanos;
  private volatile boolean isOpen = true;
  private volatile boolean isNeeded;

  private final IdleRelease idle =
      new IdleRelease(
          "a library under test",
          () -> clock.nanoTime() - calledNanos,
          () -> isOpen,
          this::release,
          clock);

  private boolean release(long atLeastNanos) {
    releasedS.add(clock.nanoTime() / SECOND);
    isOpen = false;
    return true;
  }

  @AfterEach
  void close() throws InterruptedException {
    idle.close();
    Await.until("its thread ends", () -> Await.threads("release idle a library under test") == 0);
  }

  private void call() {
    calledNanos = clock.nanoTime();
    isOpen = true;
  }

  /** Second by second, so that each look is on time. */
  private void pass(int seconds) throws InterruptedException {
    for (int second = 0; second < seconds; second++) {
      clock.awaitWaiting(1);
      clock.jump(SECOND);
    }
    clock.awaitWaiting(1);
  }

  @Test
  void itIsLetGoOfWhenItsTimeIsOverAndNotBefore() throws Exception {
    idle.whenIdleFor(IDLE, () -> isNeeded);
    pass(59);
    assertEquals(List.of(), releasedS);
    pass(1);
    assertEquals(List.of(60L), releasedS);
    pass(600);
    assertEquals(List.of(60L), releasedS, "it is not open");
    call();
    pass(120);
    assertEquals(2, releasedS.size());
    long waitedS = releasedS.getLast() - 660;
    assertTrue(waitedS >= 60 && waitedS <= 120, () -> "after " + waitedS + " s");
  }

  @Test
  void eachCallBeginsAnIdleTimeAnew() throws Exception {
    idle.whenIdleFor(IDLE, () -> isNeeded);
    for (int call = 0; call < 20; call++) {
      pass(59);
      call();
    }
    assertEquals(List.of(), releasedS);
    pass(60);
    assertEquals(List.of(20 * 59L + 60), releasedS);
  }

  @Test
  void whatIsNeededIsKept() throws Exception {
    isNeeded = true;
    idle.whenIdleFor(IDLE, () -> isNeeded);
    pass(3600);
    assertEquals(List.of(), releasedS);
    isNeeded = false;
    pass(60);
    assertEquals(1, releasedS.size());
  }
}
