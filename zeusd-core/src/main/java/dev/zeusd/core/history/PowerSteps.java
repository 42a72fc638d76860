package dev.zeusd.core.history;

import java.util.Arrays;

/**
 * What a power was in each of some {@link TimeSteps}: the mean, the lowest and the highest of the
 * readings in it. A step in which nothing was read has none of them.
 */
public final class PowerSteps {
  private final TimeSteps times;
  private final double[] sumMw;
  private final int[] readings;
  private final float[] minMw;
  private final float[] maxMw;

  PowerSteps(TimeSteps times) {
    this.times = times;
    this.sumMw = new double[times.count()];
    this.readings = new int[times.count()];
    this.minMw = new float[times.count()];
    this.maxMw = new float[times.count()];
    Arrays.fill(minMw, Float.POSITIVE_INFINITY);
  }

  /** Of a moment within the steps. */
  void add(long timestampMs, float powerMw) {
    int step = (int) ((timestampMs - times.fromMs()) / times.stepMs());
    sumMw[step] += powerMw;
    readings[step]++;
    minMw[step] = Math.min(minMw[step], powerMw);
    maxMw[step] = Math.max(maxMw[step], powerMw);
  }

  /** {@return the steps} */
  public TimeSteps times() {
    return times;
  }

  /**
   * {@return how often the device was read in a step}
   *
   * @param step counted from 0
   */
  public int readings(int step) {
    return readings[step];
  }

  /**
   * {@return the mean of the readings in a step, in mW; 0 if there were none}
   *
   * @param step counted from 0
   */
  public long meanMw(int step) {
    return readings[step] == 0 ? 0 : Math.round(sumMw[step] / readings[step]);
  }

  /**
   * {@return the lowest reading in a step, in mW; 0 if there were none}
   *
   * @param step counted from 0
   */
  public long minMw(int step) {
    return readings[step] == 0 ? 0 : (long) minMw[step];
  }

  /**
   * {@return the highest reading in a step, in mW; 0 if there were none}
   *
   * @param step counted from 0
   */
  public long maxMw(int step) {
    return (long) maxMw[step];
  }
}
