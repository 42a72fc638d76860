package dev.zeusd.core.simulated;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Energy is the exact integral of the power, whenever it is asked. */
class PowerCycleTest {
  private static final long SECOND = 1_000_000_000L;
  private static final long STEP = 20_000_000L;

  private long now = 123_456_789L;

  @Test
  void energyIsTheSumOfThePower() {
    PowerCycle cycle =
        new PowerCycle(() -> now, second -> 100_000 + 90_000 * Math.sin(second) + 10 * second);
    // 2.5 cycles by the middles of pieces of an eighth of a step, so that none spans two steps.
    long piece = STEP / 8;
    double sumMj = 0;
    for (int i = 0; i < 150 * SECOND / piece; i++) {
      now += piece / 2;
      sumMj += cycle.powerMw() * piece / 1e9;
      now += piece / 2;
    }
    assertEquals(sumMj, cycle.energyMj(), 1e-3);
  }

  @Test
  void energyOverAStepIsItsPowerTimesItsLength() {
    PowerCycle cycle = new PowerCycle(() -> now, second -> 50_000 + 1000 * second);
    for (int step = 0; step < 2 * 3000; step++) {
      double before = cycle.energyMj();
      now += STEP / 2;
      double powerMw = cycle.powerMw();
      now += STEP / 2;
      assertEquals(powerMw * 0.02, cycle.energyMj() - before, 1e-3, "step " + step);
    }
    // The mean of the ramp's steps is that of second 29.99.
    assertEquals(2 * 60 * 79_990, cycle.energyMj(), 1);
  }

  @Test
  void aChangeOfPowerDoesNotMoveTheEnergy() {
    double[] levelMw = {10_000};
    PowerCycle cycle = new PowerCycle(() -> now, second -> levelMw[0] + second);
    double expectedMj = 0;
    for (int i = 1; i <= 100; i++) {
      double before = cycle.energyMj();
      double level = i * 5_000;
      cycle.change(() -> levelMw[0] = level);
      assertEquals(before, cycle.energyMj(), 1e-3, "change " + i);
      now += 60 * SECOND;
      expectedMj += 60 * (level + 29.99);
      assertEquals(expectedMj, cycle.energyMj(), expectedMj * 1e-9);
      now += 777_777_777L;
      expectedMj = cycle.energyMj();
    }
  }

  @Test
  void afterAYearEnergyIsExactAndCostsNoMore() {
    AtomicInteger evaluations = new AtomicInteger();
    PowerCycle cycle =
        new PowerCycle(
            () -> now,
            second -> {
              evaluations.incrementAndGet();
              return 1000 * second;
            });
    int atFirst = evaluations.get();
    now += 60 * SECOND;
    double cycleMj = cycle.energyMj();
    long minutesOfAYear = 365 * 24 * 60;
    now += (minutesOfAYear - 1) * 60 * SECOND;
    assertEquals(minutesOfAYear * cycleMj, cycle.energyMj(), 1);
    cycle.powerMw();
    now += 30 * SECOND;
    assertEquals(30_000, cycle.powerMw(), 20 + 1e-6);
    assertEquals(atFirst, evaluations.get(), "nothing is summed up again");
    cycle.change(() -> {});
    assertEquals(2 * atFirst, evaluations.get());
  }

  @Test
  void noiseIsBoundedRepeatableAndDiffersByDevice() {
    int same = 0;
    double sum = 0;
    for (int i = 0; i < 3000; i++) {
      double noise = PowerCycle.noise(0, 1, i * 0.02);
      assertTrue(noise >= -1 && noise <= 1, "noise " + noise);
      assertEquals(noise, PowerCycle.noise(0, 1, i * 0.02));
      same += noise == PowerCycle.noise(0, 2, i * 0.02) ? 1 : 0;
      sum += noise;
    }
    assertEquals(0, same);
    assertEquals(0, sum / 3000, 0.1);
  }
}
