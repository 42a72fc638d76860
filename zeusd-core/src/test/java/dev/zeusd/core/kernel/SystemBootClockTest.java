package dev.zeusd.core.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class SystemBootClockTest {
  private static final long SECOND = TimeUnit.SECONDS.toNanos(1);
  private static final long HOUR = 3600 * SECOND;

  private long wallMs = 1_700_000_000_000L;
  private long nanoTime = 5 * SECOND;
  private OptionalLong uptime = OptionalLong.of(25 * SECOND);
  private int looks;

  private final SystemBootClock clock =
      new SystemBootClock(
          () -> wallMs,
          () -> nanoTime,
          () -> {
            looks++;
            return uptime;
          });

  private void pass(long awakeNanos, long asleepNanos) {
    wallMs += TimeUnit.NANOSECONDS.toMillis(awakeNanos + asleepNanos);
    nanoTime += awakeNanos;
    // In steps of 10 ms, as Linux tells it.
    uptime =
        OptionalLong.of((uptime.getAsLong() + awakeNanos + asleepNanos) / 10_000_000 * 10_000_000);
  }

  @Test
  void goesOnInSleepAndLooksTheSleepUpOnce() {
    assertEquals(25 * SECOND, clock.nanos());
    for (int i = 0; i < 100; i++) {
      pass(SECOND, 0);
      clock.nanos();
    }
    assertEquals(125 * SECOND, clock.nanos());
    assertEquals(1, looks);
    pass(SECOND / 10, HOUR);
    assertEquals(125 * SECOND + SECOND / 10 + HOUR, clock.nanos());
    assertEquals(20 * SECOND + HOUR, clock.sleptNanos());
    assertEquals(2, looks);
  }

  @Test
  void aWallClockThatIsSetIsNoSleep() {
    clock.nanos();
    for (long stepMs : new long[] {-3_600_000, 3_600_000, 86_400_000}) {
      wallMs += stepMs;
      pass(SECOND, 0);
      clock.nanos();
      assertEquals(20 * SECOND, clock.sleptNanos());
    }
    assertEquals(28 * SECOND, clock.nanos());
    assertEquals(4, looks);
  }

  @Test
  void withoutUptimeItIsTheClockThatStandsStill() {
    uptime = OptionalLong.empty();
    assertEquals(5 * SECOND, clock.nanos());
    assertEquals(0, clock.sleptNanos());
  }

  @Test
  void theRealOneGoesWithTheMachines() {
    BootClock real = BootClock.system();
    long uptimeNanos = SystemBootClock.uptimeFile().get().getAsLong();
    assertEquals(uptimeNanos, real.nanos(), SECOND);
    long first = real.nanos();
    assertTrue(real.nanos() - first < 10 * SECOND);
  }
}
