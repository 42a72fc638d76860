package dev.zeusd.core.simulated;

import java.util.function.DoubleUnaryOperator;
import java.util.function.LongSupplier;

/**
 * Power that repeats every minute in steps of 20 ms, and its exact integral.
 *
 * <p>The steps of a whole minute are summed up once, so energy costs the same however long nobody
 * asked.
 */
final class PowerCycle {
  /** Length of the cycle, in s. */
  static final int SECONDS = 60;

  private static final int STEPS = 3000;
  private static final double STEP_SECONDS = (double) SECONDS / STEPS;

  private final LongSupplier nanoTime;
  private final DoubleUnaryOperator powerMwBySecond;
  private final long startNanos;
  private final double[] stepMw = new double[STEPS];

  /** Energy from the start of the cycle to the start of each step, and to its end. */
  private final double[] energyMjBefore = new double[STEPS + 1];

  private double offsetMj;

  /**
   * @param powerMwBySecond power in mW by second of the cycle
   */
  PowerCycle(LongSupplier nanoTime, DoubleUnaryOperator powerMwBySecond) {
    this.nanoTime = nanoTime;
    this.powerMwBySecond = powerMwBySecond;
    this.startNanos = nanoTime.getAsLong();
    compute();
  }

  private void compute() {
    for (int step = 0; step < STEPS; step++) {
      stepMw[step] = powerMwBySecond.applyAsDouble(step * STEP_SECONDS);
      energyMjBefore[step + 1] = energyMjBefore[step] + stepMw[step] * STEP_SECONDS;
    }
  }

  double powerMw() {
    return stepMw[(int) (stepsSinceStart() % STEPS)];
  }

  /** Energy since this was made, in mJ. */
  double energyMj() {
    return offsetMj + integralMj(stepsSinceStart());
  }

  /** Where in the cycle the power of now is from, in s. */
  double second() {
    return (int) (stepsSinceStart() % STEPS) * STEP_SECONDS;
  }

  /** Mean power over so many seconds until now, in mW, as if it had always gone on like this. */
  double meanMw(double seconds) {
    double steps = stepsSinceStart();
    return (integralMj(steps) - integralMj(steps - seconds / STEP_SECONDS)) / seconds;
  }

  /** Makes a change that the power depends on; energy goes on from where it is. */
  void change(Runnable change) {
    double steps = stepsSinceStart();
    double energyMj = offsetMj + integralMj(steps);
    change.run();
    compute();
    offsetMj = energyMj - integralMj(steps);
  }

  private double stepsSinceStart() {
    return (nanoTime.getAsLong() - startNanos) / 1e9 / STEP_SECONDS;
  }

  private double integralMj(double steps) {
    double cycles = Math.floor(steps / STEPS);
    double within = steps - cycles * STEPS;
    int step = Math.min((int) within, STEPS - 1);
    return cycles * energyMjBefore[STEPS]
        + energyMjBefore[step]
        + stepMw[step] * (within - step) * STEP_SECONDS;
  }

  /** A number from -1 to 1 that looks random, the same for the same device, seed and time. */
  static double noise(long seed, int device, double second) {
    long x = device * 0x9E3779B97F4A7C15L + Math.round(second / STEP_SECONDS) * 0xBF58476D1CE4E5B9L;
    x += seed * 0xD6E8FEB86659FD93L;
    x ^= x >>> 31;
    x *= 0x94D049BB133111EBL;
    x ^= x >>> 29;
    return x / (double) Long.MAX_VALUE;
  }
}
