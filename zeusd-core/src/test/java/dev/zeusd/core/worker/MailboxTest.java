package dev.zeusd.core.worker;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.testkit.TestClock;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A thread, a queue and timers, in a time of the test's own. */
@Timeout(60)
class MailboxTest {
  private static final long HOUR = 3_600_000_000_000L;

  private final TestClock clock = new TestClock();
  private final Mailbox mailbox = new Mailbox("mailbox under test", clock);
  private final List<String> ran = Collections.synchronizedList(new ArrayList<>());
  private final CountDownLatch release = new CountDownLatch(1);

  @AfterEach
  void close() {
    release.countDown();
    Mailbox.closeAll(List.of(mailbox));
  }

  private static boolean isRunning() {
    return Thread.getAllStackTraces().keySet().stream()
        .anyMatch(thread -> thread.getName().equals("mailbox under test"));
  }

  @Test
  void theThreadStartsWithTheFirstThingToDoAndSleepsAfterIt() throws Exception {
    assertTrue(!isRunning());
    mailbox.post(Mailbox.Kind.COMMAND, () -> ran.add("first"));
    clock.awaitWaiting(1);
    assertEquals(List.of("first"), ran);
    clock.jump(100 * HOUR);
    clock.awaitWaiting(1);
    assertTrue(isRunning());
  }

  @Test
  void kindsOfWorkTakeTurnsAndEachKeepsItsOrder() throws Exception {
    mailbox.post(Mailbox.Kind.FIRST, () -> awaitUninterruptibly(release));
    for (int i = 0; i < 3; i++) {
      int number = i;
      mailbox.post(Mailbox.Kind.COMMAND, () -> ran.add("c" + number));
      mailbox.post(Mailbox.Kind.READ, () -> ran.add("r" + number));
      mailbox.post(Mailbox.Kind.FIRST, () -> ran.add("f" + number));
    }
    release.countDown();
    clock.awaitWaiting(1);
    // The one that waited was of the kind that comes first, so the next turn is a read's.
    assertEquals(List.of("r0", "c0", "f0", "r1", "c1", "f1", "r2", "c2", "f2"), ran);
  }

  @Test
  void timedWorkOfAnyThreadRunsWhenItIsDueAndNotBefore() throws Exception {
    mailbox.schedule(3 * HOUR, due -> record("3", due, TimedWork.NEVER));
    clock.awaitWaiting(1);
    Thread.ofPlatform()
        .start(() -> mailbox.schedule(HOUR, due -> record("1", due, due + 3 * HOUR)))
        .join();
    clock.awaitWaiting(1);
    clock.jump(HOUR - 1);
    clock.awaitWaiting(1);
    assertEquals(List.of(), ran);
    for (int hour = 1; hour <= 7; hour++) {
      clock.jump(hour == 1 ? 1 : HOUR);
      clock.awaitWaiting(1);
    }
    assertEquals(List.of("1 at 1", "3 at 3", "1 at 4", "1 at 7"), ran);
  }

  private long record(String what, long due, long next) {
    ran.add(what + " at " + due / HOUR);
    return next;
  }

  @Test
  void anExceptionEndsNothingElse() throws Exception {
    mailbox.schedule(
        HOUR,
        due -> {
          throw new AssertionError("a bug");
        });
    mailbox.post(
        Mailbox.Kind.READ,
        () -> {
          throw new IllegalStateException("another one");
        });
    mailbox.schedule(2 * HOUR, due -> record("on", due, TimedWork.NEVER));
    clock.awaitWaiting(1);
    clock.jump(HOUR);
    clock.awaitWaiting(1);
    clock.jump(HOUR);
    clock.awaitWaiting(1);
    assertEquals(List.of("on at 2"), ran);
  }

  @Test
  void theCloseSaysWhoDidNotStopAndRefusesWhatWaits() throws Exception {
    Mailbox other = new Mailbox("another one", clock);
    Mailbox unused = new Mailbox("never used", clock);
    CountDownLatch hangs = new CountDownLatch(1);
    mailbox.post(
        Mailbox.Kind.COMMAND,
        () -> {
          hangs.countDown();
          awaitUninterruptibly(release);
        });
    assertTrue(hangs.await(20, TimeUnit.SECONDS));
    CountDownLatch refused = new CountDownLatch(2);
    Mailbox.Task waits =
        new Mailbox.Task() {
          @Override
          public void run() {
            ran.add("never");
          }

          @Override
          public void refuse() {
            refused.countDown();
          }
        };
    mailbox.post(Mailbox.Kind.READ, waits);
    other.post(Mailbox.Kind.READ, () -> ran.add("done"));
    clock.awaitWaiting(1);
    assertEquals(List.of("mailbox under test"), Mailbox.closeAll(List.of(mailbox, other, unused)));
    mailbox.post(Mailbox.Kind.READ, waits);
    assertTrue(refused.await(20, TimeUnit.SECONDS));
    assertEquals(List.of("done"), ran);
    assertTrue(mailbox.isClosed() && other.isClosed() && unused.isClosed());
  }

  @Test
  void whoClosesItInterruptedOrFromWithinBlamesNobody() throws Exception {
    Mailbox other = new Mailbox("another one", NanoClock.SYSTEM);
    CountDownLatch done = new CountDownLatch(1);
    other.post(
        Mailbox.Kind.COMMAND,
        () -> {
          ran.addAll(Mailbox.closeAll(List.of(other)));
          done.countDown();
        });
    assertTrue(done.await(20, TimeUnit.SECONDS));
    assertEquals(List.of(), ran);
    Mailbox third = new Mailbox("a third one", NanoClock.SYSTEM);
    third.post(Mailbox.Kind.COMMAND, () -> {});
    Thread.currentThread().interrupt();
    assertEquals(List.of(), Mailbox.closeAll(List.of(third)));
    assertTrue(Thread.interrupted(), "the interrupt was swallowed");
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
