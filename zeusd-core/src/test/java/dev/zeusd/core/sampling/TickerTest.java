package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.TestLog;
import dev.zeusd.testkit.TestClock;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Level;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** When it ticks, in a time of the test's own, and what a call that hangs costs. */
@Timeout(60)
class TickerTest {
  private static final long MS = 1_000_000;
  private static final long PERIOD = 50 * MS;
  private static final long GRACE = Lead.GRACE.toNanos();

  private final TestClock clock = new TestClock();
  private final List<Long> ticksMs = Collections.synchronizedList(new ArrayList<>());
  private final List<Long> extraMs = Collections.synchronizedList(new ArrayList<>());
  private final AtomicInteger toHang = new AtomicInteger();
  private final AtomicInteger hanging = new AtomicInteger();
  private final AtomicInteger ended = new AtomicInteger();
  private volatile CountDownLatch release = new CountDownLatch(1);
  private volatile long passTakesNanos;
  private final Ticker ticker = new Ticker("ticker under test", PERIOD, clock, this::pass);

  private void pass(Lead lead, long dueNanos, boolean onSchedule) {
    (onSchedule ? ticksMs : extraMs).add(clock.nanoTime() / MS);
    clock.jump(passTakesNanos);
    if (toHang.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
      lead.beginCall(clock.nanoTime());
      hanging.incrementAndGet();
      try {
        release.await();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      lead.endCall();
      hanging.decrementAndGet();
      assertTrue(lead.isOver());
      ended.incrementAndGet();
    }
  }

  @AfterEach
  void end() throws InterruptedException {
    release.countDown();
    ticker.close();
    Await.until("no thread is left", () -> threads() == 0);
  }

  private static long threads() {
    return Await.threads("ticker under test");
  }

  private void startAndWait() throws InterruptedException {
    ticker.start();
    clock.awaitWaiting(2);
  }

  private void pass(long nanos) throws InterruptedException {
    clock.jump(nanos);
    clock.awaitWaiting(2);
  }

  @Test
  void itTicksAtOnceAndThenOnAnAbsoluteSchedule() throws Exception {
    startAndWait();
    for (int i = 0; i < 4; i++) {
      pass(PERIOD);
    }
    // Late, and the next one is on time all the same.
    pass(PERIOD + 20 * MS);
    pass(PERIOD - 20 * MS);
    assertEquals(List.of(0L), extraMs);
    assertEquals(List.of(50L, 100L, 150L, 200L, 270L, 300L), ticksMs);
  }

  @Test
  void ticksMissedInAStallAreLeftOut() throws Exception {
    startAndWait();
    pass(10 * PERIOD + 7 * MS);
    pass(PERIOD - 7 * MS);
    assertEquals(List.of(507L, 550L), ticksMs);
  }

  @Test
  void aPassThatTakesLongerThanAPeriodIsFollowedByTheNewestOne() throws Exception {
    startAndWait();
    passTakesNanos = 120 * MS;
    clock.jump(PERIOD);
    Await.until("some have passed", () -> ticksMs.size() >= 4);
    passTakesNanos = 0;
    clock.awaitWaiting(2);
    assertEquals(List.of(50L, 170L, 290L, 410L), ticksMs.subList(0, 4));
  }

  @Test
  void aPassCanBeHadAtOnceBesideTheSchedule() throws Exception {
    startAndWait();
    pass(20 * MS);
    ticker.passNow();
    Await.until("it comes", () -> extraMs.size() == 2);
    clock.awaitWaiting(2);
    pass(30 * MS);
    assertEquals(List.of(0L, 20L), extraMs);
    assertEquals(List.of(50L), ticksMs);
  }

  @Test
  void itStandsStillAfterAStopAndBeginsAnew() throws Exception {
    startAndWait();
    pass(PERIOD);
    ticker.stop();
    ticker.stop();
    Await.until("its threads end", () -> threads() == 0);
    clock.jump(10 * PERIOD + 3 * MS);
    startAndWait();
    pass(PERIOD);
    assertEquals(List.of(0L, 553L), extraMs);
    assertEquals(List.of(50L, 603L), ticksMs);
  }

  @Test
  void aCallThatHangsIsLeftBehindAndEndsAlone() throws Exception {
    startAndWait();
    toHang.set(1);
    clock.jump(PERIOD);
    Await.until("it hangs", () -> hanging.get() == 1);
    // The other thread wakes when the grace is over, and ticks at once: that is all that it costs.
    clock.awaitWaiting(1);
    clock.jump(GRACE - 1);
    clock.awaitWaiting(1);
    clock.jump(1);
    Await.until("another one ticks", () -> ticksMs.size() == 2);
    clock.awaitWaiting(2);
    pass(PERIOD - GRACE);
    assertEquals(List.of(50L, 60L, 100L), ticksMs);
    for (int i = 0; i < 100; i++) {
      pass(PERIOD);
    }
    assertEquals(103, ticksMs.size(), "none is lost while it hangs");
    assertEquals(3, threads());
    release.countDown();
    Await.until("it ends", () -> ended.get() == 1 && threads() == 2);
    pass(PERIOD);
    assertEquals(104, ticksMs.size());
  }

  /** A first read of a device for a newcomer, in between. */
  @Test
  void aCallThatHangsBesideTheScheduleCostsTheNextTickOneGrace() throws Exception {
    startAndWait();
    pass(20 * MS);
    toHang.set(1);
    ticker.passNow();
    Await.until("it hangs", () -> hanging.get() == 1);
    clock.jump(30 * MS + GRACE);
    Await.until("another one ticks", () -> ticksMs.size() == 1);
    clock.awaitWaiting(2);
    pass(PERIOD - GRACE);
    assertEquals(List.of(60L, 100L), ticksMs);
  }

  @Test
  void noThreadWakesBesideTheOneThatTicks() throws Exception {
    startAndWait();
    int before = clock.wakeUps();
    for (int i = 0; i < 100; i++) {
      pass(PERIOD);
    }
    assertEquals(100, clock.wakeUps() - before);
  }

  @Test
  void tenThatHangOneAfterTheOtherLeaveTheRest() throws Exception {
    startAndWait();
    for (int hung = 1; hung <= 10; hung++) {
      int number = hung;
      toHang.set(1);
      clock.jump(PERIOD);
      Await.until("one more hangs", () -> hanging.get() == number);
      int before = ticksMs.size();
      clock.awaitWaiting(1);
      clock.jump(GRACE);
      Await.until("another one ticks", () -> ticksMs.size() > before);
      clock.awaitWaiting(2);
      for (int i = 0; i < 5; i++) {
        int ticks = ticksMs.size();
        pass(PERIOD);
        assertEquals(ticks + 1, ticksMs.size());
      }
    }
    assertEquals(12, threads());
    release.countDown();
    Await.until("they end", () -> ended.get() == 10 && threads() == 2);
  }

  /** In any order: who starts gets ticks at the rate, and who hangs leaves nothing behind. */
  @Test
  void anyOrderOfStartsStopsHangsAndHealingsKeepsTheRate() throws Exception {
    for (int seed = 1; seed <= 20; seed++) {
      Random random = new Random(seed);
      StringBuilder steps = new StringBuilder("seed " + seed + ":");
      boolean isStarted = false;
      for (int step = 0; step < 40; step++) {
        int choice = random.nextInt(6);
        steps.append(' ').append(choice);
        if (choice == 0) {
          release.countDown();
          Await.until(steps + ": those that hung end", () -> hanging.get() == 0);
          release = new CountDownLatch(1);
        } else if (choice == 1 && isStarted) {
          ticker.stop();
          isStarted = false;
        } else if (!isStarted) {
          startAndWait();
          isStarted = true;
        } else if (choice == 2 && hanging.get() < 5) {
          hangAndBeReplaced();
        } else {
          int before = ticksMs.size();
          pass(PERIOD);
          assertEquals(before + 1, ticksMs.size(), steps.toString());
        }
        int own = isStarted ? 2 : 0;
        Await.until(steps + ": no thread too many", () -> threads() == own + hanging.get());
      }
      ticker.stop();
    }
  }

  private void hangAndBeReplaced() throws InterruptedException {
    int before = hanging.get();
    toHang.set(1);
    clock.jump(PERIOD);
    Await.until("it hangs", () -> hanging.get() == before + 1);
    int ticks = ticksMs.size();
    clock.awaitWaiting(1);
    clock.jump(GRACE);
    Await.until("another one ticks", () -> ticksMs.size() > ticks);
    clock.awaitWaiting(2);
  }

  @Test
  void aCallThatBeginsLateHasItsGrace() throws Exception {
    startAndWait();
    toHang.set(1);
    clock.jump(PERIOD + 5 * MS);
    Await.until("it is in the call", () -> hanging.get() == 1);
    clock.awaitWaiting(1);
    clock.jump(5 * MS);
    clock.awaitWaiting(1);
    assertEquals(1, ticksMs.size(), "looked at after 5 ms, with 5 ms to go");
    clock.jump(5 * MS);
    Await.until("after 10 ms it counts as one that hangs", () -> ticksMs.size() == 2);
  }

  @Test
  void aPassThatThrowsIsLoggedOnceAndTheNextOneComes() throws Exception {
    AtomicInteger passes = new AtomicInteger();
    Ticker throwing =
        new Ticker(
            "ticker under test",
            PERIOD,
            clock,
            (lead, dueNanos, onSchedule) -> {
              passes.incrementAndGet();
              throw new AssertionError("a bug");
            });
    try (TestLog log = new TestLog(Ticker.class.getName())) {
      throwing.start();
      clock.awaitWaiting(2);
      pass(PERIOD);
      pass(PERIOD);
      assertEquals(3, passes.get());
      assertEquals(1, log.lines(Level.SEVERE).size());
    } finally {
      throwing.close();
    }
  }
}
