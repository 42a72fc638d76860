package dev.zeusd.core.simulated;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import java.util.List;
import java.util.Optional;
import java.util.function.DoubleUnaryOperator;
import java.util.function.LongSupplier;

/**
 * A CPU package that feeds a training GPU: it loads data for most of the minute, in bursts, and
 * idles for the rest, with some noise. Its DRAM follows.
 */
public final class SimulatedCpu implements Cpu {
  private final CpuInfo info;
  private final long seed;
  private final EnergyCounter cpuCounter;
  private final Optional<EnergyCounter> dramCounter;

  /**
   * A package whose minute begins now, by the clock {@code nanoTime}.
   *
   * @param id the device's id
   * @param dram whether it counts its DRAM
   * @param seed of the noise: the same seed, id and time give the same power
   * @param nanoTime the clock that its power follows, in ns
   */
  public SimulatedCpu(int id, boolean dram, long seed, LongSupplier nanoTime) {
    this.seed = seed;
    this.info = new CpuInfo(id, dram, CpuInfo.Domain.PACKAGE);
    this.cpuCounter = new Counter(nanoTime, second -> powerMw(second, 60_000, 180_000));
    this.dramCounter =
        dram
            ? Optional.of(new Counter(nanoTime, second -> powerMw(second, 8_000, 24_000)))
            : Optional.empty();
  }

  /** {@return the two packages of a simulated node; only the first one counts its DRAM} */
  public static List<Cpu> typicalNode() {
    return List.of(
        new SimulatedCpu(0, true, 0, System::nanoTime),
        new SimulatedCpu(1, false, 0, System::nanoTime));
  }

  private double powerMw(double second, double idleMw, double loadMw) {
    double noise = 1 + 0.03 * PowerCycle.noise(seed, 100 + info.id(), second);
    return (idleMw + load((second + 11 * info.id()) % PowerCycle.SECONDS) * loadMw) * noise;
  }

  /** Share of the full load, by second of the minute. */
  private static double load(double second) {
    if (second < 8 || second >= 52) {
      return 0;
    }
    boolean burst = second % 3 < 1.8;
    return burst ? 1 : 0.4;
  }

  @Override
  public CpuInfo info() {
    return info;
  }

  @Override
  public EnergyCounter cpuCounter() {
    return cpuCounter;
  }

  @Override
  public Optional<EnergyCounter> dramCounter() {
    return dramCounter;
  }

  /** The exact integral of a cycle; it neither wraps nor fails. */
  private static final class Counter implements EnergyCounter {
    private static final double UJ_PER_MJ = 1000;

    private final LongSupplier nanoTime;
    private final PowerCycle power;
    private long now;

    Counter(LongSupplier nanoTime, DoubleUnaryOperator powerMwBySecond) {
      this.nanoTime = nanoTime;
      this.now = nanoTime.getAsLong();
      // The reading's energy and time are of the same moment.
      this.power = new PowerCycle(() -> now, powerMwBySecond);
    }

    @Override
    public EnergyReading read() {
      now = nanoTime.getAsLong();
      return new EnergyReading(Math.round(power.energyMj() * UJ_PER_MJ), now, 0);
    }

    @Override
    public long maxSilenceNanos() {
      return ANY_SILENCE;
    }
  }
}
