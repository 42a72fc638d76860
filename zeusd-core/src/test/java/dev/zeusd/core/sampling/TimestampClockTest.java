package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TimestampClockTest {
  private static final long START_MS = 1_795_456_293_332L;
  private static final long HOUR_MS = 3_600_000;

  private long wallMs = START_MS;
  private long nanoTime = Long.MAX_VALUE - 1_000_000_000L; // overflows in a second
  private final TimestampClock clock = new TimestampClock(() -> wallMs, () -> nanoTime);

  private long after(long ms) {
    wallMs += ms;
    nanoTime += ms * 1_000_000;
    return clock.nowMs();
  }

  @Test
  void isTheWallClockWhileThatGoesOn() {
    assertEquals(START_MS, clock.nowMs());
    assertEquals(START_MS + 1, after(1));
    assertEquals(START_MS + 5_001, after(5_000));
    wallMs += HOUR_MS;
    assertEquals(wallMs, clock.nowMs(), "it is set forward");
  }

  @Test
  void goesOnByTheMonotonicClockUntilTheWallClockIsAsFarAgain() {
    clock.nowMs();
    wallMs -= HOUR_MS;
    assertEquals(START_MS + 50, after(50));
    assertEquals(START_MS + 100, after(50));
    wallMs += HOUR_MS - 10;
    assertEquals(START_MS + 150, after(50), "nearly");
    wallMs += 30;
    assertEquals(wallMs + 50, after(50), "and beyond");
  }

  @Test
  void sleepInWhichTheMonotonicClockStandsStillCounts() {
    clock.nowMs();
    wallMs += 8 * HOUR_MS;
    assertEquals(START_MS + 8 * HOUR_MS + 1, after(1));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void neverGoesBackNorStandsStillWhateverTheWallClockDoes(long seed) {
    Random random = new Random(seed);
    long last = clock.nowMs();
    for (int i = 0; i < 10_000; i++) {
      wallMs += random.nextInt(10) == 0 ? random.nextLong(-HOUR_MS, HOUR_MS) : 0;
      long now = after(1 + random.nextInt(20));
      assertTrue(now > last, "step " + i);
      assertTrue(now >= wallMs, "step " + i);
      last = now;
    }
  }
}
