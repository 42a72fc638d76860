package dev.zeusd.core.history;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PowerRingTest {
  private static final float NONE = Float.NaN;

  private record Reading(long timestampMs, float firstMw, float secondMw) {}

  private static List<Reading> read(PowerRing ring, long fromMs, long toMs) {
    List<Reading> all = new ArrayList<>();
    ring.forEach(fromMs, toMs, (ms, first, second) -> all.add(new Reading(ms, first, second)));
    return all;
  }

  private static List<Reading> read(PowerRing ring) {
    return read(ring, 0, Long.MAX_VALUE);
  }

  @Test
  void keepsTheNewestAndNoMore() {
    PowerRing ring = new PowerRing(3);
    assertEquals(List.of(), read(ring));
    assertTrue(ring.oldestMs().isEmpty());
    for (int i = 1; i <= 5; i++) {
      ring.add(1000 + i, i, NONE);
    }
    List<Reading> kept =
        List.of(new Reading(1003, 3, NONE), new Reading(1004, 4, NONE), new Reading(1005, 5, NONE));
    assertEquals(kept, read(ring));
    assertEquals(1003, ring.oldestMs().orElseThrow());
    assertEquals(kept.subList(1, 2), read(ring, 1004, 1005));
    assertEquals(List.of(), read(ring, 1006, 2000));
    assertEquals(List.of(), read(ring, 0, 1003));
  }

  @Test
  void leavesOutWhatIsNotNewer() {
    PowerRing ring = new PowerRing(3);
    ring.add(1000, 1, NONE);
    ring.add(1000, 2, NONE);
    ring.add(999, 3, NONE);
    assertEquals(List.of(new Reading(1000, 1, NONE)), read(ring));
  }

  @Test
  void hasSecondValuesFromTheFirstOneOn() {
    PowerRing ring = new PowerRing(4);
    ring.add(1, 10, NONE);
    ring.add(2, 20, 2);
    ring.add(3, 30, NONE);
    assertEquals(
        List.of(new Reading(1, 10, NONE), new Reading(2, 20, 2), new Reading(3, 30, NONE)),
        read(ring));
  }

  /** Times are kept in 31 bits. */
  @Test
  void livesForYears() {
    PowerRing ring = new PowerRing(100);
    long hourMs = Duration.ofHours(1).toMillis();
    long nowMs = 1_800_000_000_000L;
    for (int hour = 0; hour < 3 * 365 * 24; hour++) {
      nowMs += hourMs;
      ring.add(nowMs, hour % 1000, NONE);
    }
    List<Reading> all = read(ring);
    assertEquals(100, all.size());
    assertEquals(nowMs, all.getLast().timestampMs);
    assertEquals(nowMs - 99 * hourMs, all.getFirst().timestampMs);
  }

  @Test
  void beginsAnewWhenTheClockWasSetFarAhead() {
    PowerRing ring = new PowerRing(3);
    ring.add(1000, 1, NONE);
    long laterMs = 1000 + Duration.ofDays(40).toMillis();
    ring.add(laterMs, 2, NONE);
    assertEquals(List.of(new Reading(laterMs, 2, NONE)), read(ring));
  }

  /** Against a list, with sizes and times of all kinds. */
  @Test
  void isAListThatForgets() {
    for (int seed = 0; seed < 200; seed++) {
      Random random = new Random(seed);
      int capacity = 1 + random.nextInt(10_000);
      PowerRing ring = new PowerRing(capacity);
      List<Reading> model = new ArrayList<>();
      long ms = 5;
      int count = random.nextInt(20_000);
      for (int i = 0; i < count; i++) {
        ms += 1 + random.nextInt(60);
        Reading reading = new Reading(ms, random.nextInt(1_000_000), random.nextInt(1000));
        model.add(reading);
        ring.add(reading.timestampMs, reading.firstMw, reading.secondMw);
      }
      List<Reading> kept = model.subList(Math.max(0, count - capacity), count);
      long fromMs = random.nextLong(ms + 10);
      long toMs = fromMs + random.nextLong(ms + 10);
      List<Reading> wanted =
          kept.stream().filter(r -> r.timestampMs >= fromMs && r.timestampMs < toMs).toList();
      assertEquals(wanted, read(ring, fromMs, toMs), "seed " + seed);
    }
  }

  /** Whoever reads meanwhile sees every reading once, in order, as it was. */
  @Test
  void isReadWhileItIsWritten() throws InterruptedException {
    PowerRing ring = new PowerRing(20_000);
    Thread writer =
        Thread.ofPlatform()
            .start(
                () -> {
                  // Three times what there is room for: each may wait for a piece to be read, and
                  // with 2,000,000 that took minutes.
                  for (int i = 1; i <= 60_000; i++) {
                    ring.add(i, i % 1_000_000, NONE);
                  }
                });
    while (writer.isAlive()) {
      long[] last = {0};
      ring.forEach(
          0,
          Long.MAX_VALUE,
          (ms, first, second) -> {
            assertTrue(ms > last[0], () -> ms + " after " + last[0]);
            assertEquals(ms % 1_000_000, first);
            last[0] = ms;
          });
    }
    writer.join();
    assertEquals(20_000, read(ring).size());
  }
}
