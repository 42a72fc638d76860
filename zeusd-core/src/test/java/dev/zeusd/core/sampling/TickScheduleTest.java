package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** Where ticks are, however late the ones before them were. */
class TickScheduleTest {
  @Test
  void whateverTheDelayEachTickIsOnTheGridAndNoneIsDueTwice() {
    Random random = new Random(1);
    for (int round = 0; round < 1000; round++) {
      // As System.nanoTime has it: from any moment on, negative ones included, and over the top.
      long epoch = round % 10 == 0 ? Long.MAX_VALUE - 5000 : random.nextLong();
      long period = 1 + random.nextInt(1000);
      TickSchedule schedule = new TickSchedule(epoch, period);
      long due = schedule.first();
      assertEquals(epoch + period, due);
      for (int tick = 0; tick < 100; tick++) {
        long began = due + random.nextInt(random.nextBoolean() ? 10 : 5000);
        long ended = began + random.nextInt(random.nextBoolean() ? 10 : 5000);
        long next = schedule.next(began, ended);
        assertEquals(0, (next - epoch) % period, "off the grid");
        assertTrue(next - began > 0, "due before the one that was just done");
        assertTrue(next - ended <= period, "one is left out that is not due yet");
        assertTrue(next - ended > -period, "not the newest one that is due");
        due = next;
      }
    }
  }
}
