package dev.zeusd.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TestClockTest {
  private static final long MS = 1_000_000;

  private final TestClock clock = new TestClock();
  private final List<String> done = new CopyOnWriteArrayList<>();

  /** A thread that does something every {@code periodMs}, {@code times} times. */
  private void start(String name, long periodMs, int times) {
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .unstarted(
                () -> {
                  for (int i = 1; i <= times; i++) {
                    clock.parkUntil(i * periodMs * MS);
                    Thread.yield();
                    done.add(name + "@" + clock.nanoTime() / MS);
                  }
                });
    clock.starting(thread);
    thread.start();
  }

  @Test
  void timePassesFromOneMomentToTheNext() {
    start("a", 20, 10);
    start("b", 50, 10);
    clock.advance(Duration.ofMillis(99));
    assertEquals(List.of("a@20", "a@40", "b@50", "a@60", "a@80"), done);
    assertEquals(99 * MS, clock.nanoTime());
    assertEquals(TestClock.START_MS + 99, clock.wallMs());
  }

  @Test
  void aThreadThatEndsIsWaitedForNoMore() {
    start("a", 10, 1);
    clock.advance(Duration.ofHours(1));
    assertEquals(List.of("a@10"), done);
  }

  @Test
  void aJumpWaitsForNobody() {
    start("a", 10, 3);
    clock.awaitWaiting(1);
    clock.jump(35 * MS);
    clock.advance(Duration.ZERO);
    assertEquals(List.of("a@35", "a@35", "a@35"), done);
  }

  @Test
  void aThreadIsWokenBeforeItsTime() {
    CompletableFuture<Long> woken = new CompletableFuture<>();
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .unstarted(
                () -> {
                  clock.park();
                  woken.complete(clock.nanoTime());
                });
    clock.starting(thread);
    thread.start();
    clock.advance(Duration.ofSeconds(5));
    clock.unpark(thread);
    clock.advance(Duration.ofSeconds(5));
    assertEquals(5_000 * MS, woken.getNow(-1L));
  }

  @Test
  void aThreadThatWaitsByTheClockCannotAdvanceIt() throws Exception {
    CompletableFuture<Throwable> failure = new CompletableFuture<>();
    CountDownLatch over = new CountDownLatch(1);
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .unstarted(
                () -> {
                  failure.complete(
                      assertThrows(
                          IllegalStateException.class, () -> clock.advance(Duration.ZERO)));
                  over.countDown();
                });
    clock.starting(thread);
    thread.start();
    over.await();
    assertEquals("a thread that waits by the clock cannot advance it", failure.get().getMessage());
  }
}
