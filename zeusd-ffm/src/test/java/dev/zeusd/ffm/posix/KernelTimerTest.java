package dev.zeusd.ffm.posix;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class KernelTimerTest {
  private static final Duration LONG = Duration.ofHours(1);

  private static long timers() throws Exception {
    long count = 0;
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      for (Path descriptor : descriptors.toList()) {
        // The one of this list is closed by now.
        if (Files.exists(descriptor, java.nio.file.LinkOption.NOFOLLOW_LINKS)
            && Files.readSymbolicLink(descriptor).toString().contains("timerfd")) {
          count++;
        }
      }
    }
    return count;
  }

  private static Thread waiting(KernelTimer timer) {
    return Thread.ofPlatform().daemon().start(timer::await);
  }

  @Test
  void itExpiresWhenItIsSetForAndNotBefore() {
    try (KernelTimer timer = new KernelTimer()) {
      for (long millis : new long[] {30, 1, 0, -5}) {
        long start = System.nanoTime();
        timer.expireIn(Duration.ofMillis(millis));
        timer.await();
        assertTrue(System.nanoTime() - start >= millis * 1_000_000, millis + " ms");
      }
    }
  }

  @Test
  void whoWaitsIsNotWokenWhenItIsPutOffAndIsWhenItIsBroughtForward() throws Exception {
    try (KernelTimer timer = new KernelTimer()) {
      timer.expireIn(Duration.ofMinutes(1));
      Thread waiter = waiting(timer);
      for (int i = 0; i < 1000; i++) {
        timer.expireIn(LONG);
      }
      assertTrue(waiter.isAlive());
      timer.expireIn(Duration.ofMillis(1));
      waiter.join();
    }
  }

  @Test
  void aCloseLetsWhoWaitsGoOnAndNothingIsLeftOpen() throws Exception {
    long before = timers();
    for (int i = 0; i < 200; i++) {
      KernelTimer timer = new KernelTimer();
      timer.expireIn(LONG);
      Thread waiter = waiting(timer);
      timer.close();
      waiter.join();
      timer.close();
      timer.expireIn(Duration.ZERO);
      timer.await();
    }
    assertEquals(before, timers());
  }

  @Test
  void oneThatNobodyWaitsForIsClosedToo() throws Exception {
    long before = timers();
    try (KernelTimer timer = new KernelTimer()) {
      timer.expireIn(LONG);
      assertEquals(before + 1, timers());
    }
    assertEquals(before, timers());
    assertFalse(Thread.interrupted());
  }
}
