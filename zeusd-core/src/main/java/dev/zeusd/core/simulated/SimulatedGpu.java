package dev.zeusd.core.simulated;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.device.PowerScope;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.LongSupplier;

/**
 * A GPU that trains a model once a minute: it idles, ramps up, holds a plateau with a dip at each
 * step, and falls back, with some noise. Power limit and locked clocks lower what it draws.
 */
public final class SimulatedGpu implements Gpu {
  private static final int GPUS = 4;
  private static final double IDLE_MW = 70_000;
  private static final long MIN_LIMIT_MW = 200_000;
  private static final long DEFAULT_LIMIT_MW = 700_000;
  private static final long MAX_GPU_CLOCK_MHZ = 1980;
  private static final long MAX_MEM_CLOCK_MHZ = 2619;

  private final GpuInfo info;
  private final PowerCycle power;

  private long powerLimitMw = DEFAULT_LIMIT_MW;
  private boolean persistenceMode;
  private long gpuClockMhz = MAX_GPU_CLOCK_MHZ;
  private long memClockMhz = MAX_MEM_CLOCK_MHZ;

  /** A GPU whose time is {@code nanoTime}'s; ids shift the minute, so that GPUs differ. */
  SimulatedGpu(int id, LongSupplier nanoTime) {
    this.info =
        new GpuInfo(
            id,
            "Simulated GPU",
            Optional.of(String.format("GPU-51330000-0000-4000-8000-%012x", id)),
            Optional.of(String.format("0000:%02x:00.0", 0x19 + 0x10 * id)),
            Optional.of(true),
            PowerScope.GPU);
    this.power = new PowerCycle(nanoTime, this::demandMw);
  }

  /** The four GPUs of a simulated node. */
  public static List<Gpu> typicalNode() {
    List<Gpu> gpus = new ArrayList<>();
    for (int id = 0; id < GPUS; id++) {
      gpus.add(new SimulatedGpu(id, System::nanoTime));
    }
    return gpus;
  }

  private double demandMw(double second) {
    double load = load((second + 7 * info.id()) % PowerCycle.SECONDS);
    double clocks = 0.85 * gpuClockMhz / MAX_GPU_CLOCK_MHZ + 0.15 * memClockMhz / MAX_MEM_CLOCK_MHZ;
    double noise = 1 + 0.02 * PowerCycle.noise(info.id(), second);
    double wanted = (IDLE_MW + load * 580_000 * clocks * clocks) * noise;
    return Math.min(wanted, powerLimitMw);
  }

  /** Share of the full load, by second of the minute. */
  private static double load(double second) {
    if (second < 10) {
      return 0;
    }
    if (second < 15) {
      return (second - 10) / 5;
    }
    if (second < 50) {
      boolean optimizerStep = second % 1.2 > 1.0;
      return optimizerStep ? 0.55 : 1;
    }
    return Math.max(0, 1 - (second - 50) / 3);
  }

  @Override
  public GpuInfo info() {
    return info;
  }

  @Override
  public long powerMw() {
    return Math.round(power.powerMw());
  }

  @Override
  public long energyMj() {
    return Math.round(power.energyMj());
  }

  @Override
  public long powerLimitMw() {
    return powerLimitMw;
  }

  @Override
  public long defaultPowerLimitMw() {
    return DEFAULT_LIMIT_MW;
  }

  @Override
  public PowerLimitConstraints powerLimitConstraints() {
    return new PowerLimitConstraints(MIN_LIMIT_MW, DEFAULT_LIMIT_MW);
  }

  @Override
  public boolean persistenceMode() {
    return persistenceMode;
  }

  @Override
  public void setPowerLimit(long limitMw) {
    if (limitMw < MIN_LIMIT_MW || limitMw > DEFAULT_LIMIT_MW) {
      throw new DeviceException.InvalidArgument(
          "power limit "
              + limitMw
              + " mW is not within "
              + MIN_LIMIT_MW
              + " to "
              + DEFAULT_LIMIT_MW
              + " mW",
          null);
    }
    power.change(() -> powerLimitMw = limitMw);
  }

  @Override
  public void setPersistenceMode(boolean enabled) {
    persistenceMode = enabled;
  }

  @Override
  public void setGpuLockedClocks(long minClockMhz, long maxClockMhz) {
    long clockMhz = lockedClock(minClockMhz, maxClockMhz, MAX_GPU_CLOCK_MHZ);
    power.change(() -> gpuClockMhz = clockMhz);
  }

  @Override
  public void setMemLockedClocks(long minClockMhz, long maxClockMhz) {
    long clockMhz = lockedClock(minClockMhz, maxClockMhz, MAX_MEM_CLOCK_MHZ);
    power.change(() -> memClockMhz = clockMhz);
  }

  private static long lockedClock(long minClockMhz, long maxClockMhz, long highestMhz) {
    if (minClockMhz > maxClockMhz) {
      throw new DeviceException.InvalidArgument(
          "minimum clock " + minClockMhz + " MHz is above maximum clock " + maxClockMhz + " MHz",
          null);
    }
    return Math.min(maxClockMhz, highestMhz);
  }

  @Override
  public void resetGpuLockedClocks() {
    power.change(() -> gpuClockMhz = MAX_GPU_CLOCK_MHZ);
  }

  @Override
  public void resetMemLockedClocks() {
    power.change(() -> memClockMhz = MAX_MEM_CLOCK_MHZ);
  }
}
