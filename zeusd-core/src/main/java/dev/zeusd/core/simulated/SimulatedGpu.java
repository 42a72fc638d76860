package dev.zeusd.core.simulated;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.MigInstance;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.device.ThrottleReason;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongSupplier;

/**
 * A GPU that trains a model once a minute: it idles, ramps up, holds a plateau with a dip at each
 * step, and falls back, with some noise. Power limit and locked clocks lower what it draws.
 */
public final class SimulatedGpu implements Gpu {
  private static final int GPUS = 4;
  private static final String NAME = "Simulated GPU";
  private static final double IDLE_MW = 70_000;
  private static final long MIN_LIMIT_MW = 200_000;
  private static final long DEFAULT_LIMIT_MW = 700_000;
  private static final long IDLE_GPU_CLOCK_MHZ = 345;
  private static final long MAX_GPU_CLOCK_MHZ = 1980;
  private static final long MAX_MEM_CLOCK_MHZ = 2619;

  /** How far back the temperature remembers the power. */
  private static final double INERTIA_SECONDS = 15;

  private final GpuInfo info;
  private final long seed;
  private final PowerCycle power;
  private final Optional<SimulatedInstances> instances;

  private long powerLimitMw = DEFAULT_LIMIT_MW;
  private boolean persistenceMode;
  private long minGpuClockMhz;
  private long gpuClockMhz = MAX_GPU_CLOCK_MHZ;
  private long memClockMhz = MAX_MEM_CLOCK_MHZ;

  /**
   * A GPU whose minute begins now, by the clock {@code nanoTime}; ids shift it, so that GPUs
   * differ.
   *
   * @param id the device's id
   * @param seed of the noise: the same seed, id and time give the same power
   * @param nanoTime the clock that its power follows, in ns
   */
  public SimulatedGpu(int id, long seed, LongSupplier nanoTime) {
    this(id, seed, nanoTime, Optional.empty());
  }

  private SimulatedGpu(
      int id, long seed, LongSupplier nanoTime, Optional<SimulatedInstances> instances) {
    this.seed = seed;
    this.instances = instances;
    this.info =
        new GpuInfo(
            id,
            NAME,
            Optional.of(String.format("GPU-51330000-0000-4000-8000-%012x", id)),
            Optional.of(String.format("0000:%02x:00.0", 0x19 + 0x10 * id)),
            Optional.of(true),
            PowerScope.GPU);
    this.power = new PowerCycle(nanoTime, this::demandMw);
  }

  /**
   * {@return the same, partitioned into three instances (MIG)}
   *
   * @param id the device's id
   * @param seed of the noise: the same seed, id and time give the same power
   * @param nanoTime the clock that its power follows, in ns
   */
  public static SimulatedGpu partitioned(int id, long seed, LongSupplier nanoTime) {
    return new SimulatedGpu(id, seed, nanoTime, Optional.of(new SimulatedInstances(id, NAME)));
  }

  /** {@return the four GPUs of a simulated node} */
  public static List<Gpu> typicalNode() {
    List<Gpu> gpus = new ArrayList<>();
    for (int id = 0; id < GPUS; id++) {
      gpus.add(new SimulatedGpu(id, 0, System::nanoTime));
    }
    return gpus;
  }

  /** {@return the same, of which the last one is partitioned (MIG)} */
  public static List<Gpu> nodeWithInstances() {
    List<Gpu> gpus = typicalNode();
    gpus.set(GPUS - 1, partitioned(GPUS - 1, 0, System::nanoTime));
    return gpus;
  }

  private double demandMw(double second) {
    return Math.min(wantedMw(second), powerLimitMw);
  }

  /** What it would draw without a power limit. */
  private double wantedMw(double second) {
    double clocks = 0.85 * gpuClockMhz / MAX_GPU_CLOCK_MHZ + 0.15 * memClockMhz / MAX_MEM_CLOCK_MHZ;
    double noise = 1 + 0.02 * PowerCycle.noise(seed, info.id(), second);
    return (IDLE_MW + loadAt(second) * 580_000 * clocks * clocks) * noise;
  }

  private double loadAt(double second) {
    return load((second + 7 * info.id()) % PowerCycle.SECONDS);
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
  public Optional<List<MigInstance>> migInstances() {
    return instances.map(SimulatedInstances::all);
  }

  @Override
  public Optional<GpuDriver> driver() {
    return Optional.of(new GpuDriver("simulated", ""));
  }

  /**
   * The temperature follows the power with some inertia, the clock what limits it.
   *
   * @return what it tells of itself
   */
  @Override
  public GpuTelemetry telemetry() {
    double second = power.second();
    double load = loadAt(second);
    boolean isCapped = wantedMw(second) > powerLimitMw;
    double temperatureC = 28 + power.meanMw(INERTIA_SECONDS) / 15_000;
    Map<Reading, Long> readings = new EnumMap<>(Reading.class);
    readings.put(Reading.TEMPERATURE_C, Math.round(temperatureC));
    readings.put(Reading.MEMORY_TEMPERATURE_C, Math.round(temperatureC + 8));
    readings.put(Reading.SM_CLOCK_MHZ, smClockMhz(second, load, isCapped));
    readings.put(Reading.MEM_CLOCK_MHZ, memClockMhz);
    if (instances.isEmpty()) {
      // Of a partitioned one, drivers do not tell it.
      readings.put(Reading.GPU_UTILIZATION_PCT, Math.round(100 * load));
      readings.put(Reading.MEM_UTILIZATION_PCT, Math.round(45 * load));
    }
    readings.put(Reading.MEMORY_USED_BYTES, load > 0 ? 61L << 30 : 512L << 20);
    readings.put(Reading.MEMORY_TOTAL_BYTES, 80L << 30);
    readings.put(Reading.POWER_LIMIT_MW, powerLimitMw);
    readings.put(Reading.ENFORCED_POWER_LIMIT_MW, powerLimitMw);
    readings.put(Reading.DEFAULT_POWER_LIMIT_MW, DEFAULT_LIMIT_MW);
    readings.put(Reading.PERFORMANCE_STATE, load > 0 ? 0L : 8L);
    Set<ThrottleReason> reasons = EnumSet.noneOf(ThrottleReason.class);
    if (load == 0) {
      reasons.add(ThrottleReason.GPU_IDLE);
    }
    if (isCapped) {
      reasons.add(ThrottleReason.SW_POWER_CAP);
    }
    return new GpuTelemetry(
        readings, Optional.of(reasons), instances.map(all -> all.telemetry(load > 0)));
  }

  /** Power over idle goes with the square of the clock. */
  private long smClockMhz(double second, double load, boolean isCapped) {
    if (load == 0) {
      return Math.min(Math.max(IDLE_GPU_CLOCK_MHZ, minGpuClockMhz), gpuClockMhz);
    }
    double share =
        isCapped ? Math.sqrt((powerLimitMw - IDLE_MW) / (wantedMw(second) - IDLE_MW)) : 1;
    return Math.round(gpuClockMhz * share);
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
              + " mW");
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
    minGpuClockMhz = minClockMhz;
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
          "minimum clock " + minClockMhz + " MHz is above maximum clock " + maxClockMhz + " MHz");
    }
    return Math.min(maxClockMhz, highestMhz);
  }

  @Override
  public void resetGpuLockedClocks() {
    minGpuClockMhz = 0;
    power.change(() -> gpuClockMhz = MAX_GPU_CLOCK_MHZ);
  }

  @Override
  public void resetMemLockedClocks() {
    power.change(() -> memClockMhz = MAX_MEM_CLOCK_MHZ);
  }
}
