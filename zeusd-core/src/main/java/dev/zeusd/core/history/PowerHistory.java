package dev.zeusd.core.history;

import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.core.sampling.Subscription;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.Watch;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Keeps the power of all devices of a kind for some time. It is one more subscriber of the sampler,
 * so as long as it is open the devices are read at the sampler's rate, whoever else wants them. The
 * threads that read add the readings.
 *
 * <p>All memory that it will ever need for a device is taken when the device is found. GPUs take an
 * eighth of the heap at most, and CPUs a quarter of that: where it is too little, a shorter time is
 * kept, which is logged.
 *
 * <p>Thread-safe.
 */
public final class PowerHistory implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(PowerHistory.class.getName());
  private static final int GPUS_PART_OF_HEAP = 8;
  private static final int CPUS_PART_OF_HEAP = 32;
  private static final double BYTES_PER_MB = 1 << 20;

  /** How often it looks whether there are other devices by now. */
  private static final long LOOK_NANOS = TimeUnit.SECONDS.toNanos(5);

  private final String kind;
  private final Supplier<? extends DeviceSet<?, ? extends PowerSample>> devices;
  private final Duration length;
  private final int pollHz;
  private final int bytesPerReading;
  private final long mostBytes;
  private final Watch watch;

  /** By id of the device. Replaced as a whole, with the lock of this. */
  private volatile Map<Integer, PowerRing> rings = Map.of();

  // Guarded by this.
  private Optional<PowerSampler<?, ?>> followed = Optional.empty();
  private Optional<Subscription<?>> subscription = Optional.empty();
  private boolean isClosed;

  private PowerHistory(
      String kind,
      Supplier<? extends DeviceSet<?, ? extends PowerSample>> devices,
      Duration length,
      int pollHz,
      int bytesPerReading,
      long mostBytes) {
    this.kind = kind;
    this.devices = devices;
    this.length = length;
    this.pollHz = pollHz;
    this.bytesPerReading = bytesPerReading;
    this.mostBytes = mostBytes;
    this.watch =
        new Watch(
            kind + " power history",
            () -> {
              follow();
              return true;
            },
            LOOK_NANOS);
    watch.wake();
  }

  /**
   * Keeps the power of GPUs that are read {@code pollHz} times a second.
   *
   * @param gpus the GPUs that there are by now
   * @param length for how long power is kept, if there is memory for it
   * @param pollHz how often each is read, in Hz
   * @return the history, which is kept until it is closed
   */
  public static PowerHistory ofGpus(
      Supplier<? extends DeviceSet<?, GpuPowerSample>> gpus, Duration length, int pollHz) {
    return ofGpus(gpus, length, pollHz, heapPart(GPUS_PART_OF_HEAP));
  }

  /**
   * Keeps the power of CPUs and their DRAM.
   *
   * @param cpus the CPUs that there are by now
   * @param length for how long power is kept, if there is memory for it
   * @param pollHz how often each is read, in Hz
   * @return the history, which is kept until it is closed
   */
  public static PowerHistory ofCpus(
      Supplier<? extends DeviceSet<?, CpuPowerSample>> cpus, Duration length, int pollHz) {
    int bytes = PowerRing.FIRST_BYTES + PowerRing.SECOND_BYTES;
    return new PowerHistory("CPU", cpus, length, pollHz, bytes, heapPart(CPUS_PART_OF_HEAP));
  }

  /** The same of GPUs, with so much memory. */
  static PowerHistory ofGpus(
      Supplier<? extends DeviceSet<?, GpuPowerSample>> gpus,
      Duration length,
      int pollHz,
      long mostBytes) {
    return new PowerHistory("GPU", gpus, length, pollHz, PowerRing.FIRST_BYTES, mostBytes);
  }

  private static long heapPart(int part) {
    return Runtime.getRuntime().maxMemory() / part;
  }

  /** Has the readings of the devices that there are now, if these are others than before. */
  private void follow() {
    DeviceSet<?, ? extends PowerSample> now = devices.get();
    synchronized (this) {
      boolean isSame = followed.filter(sampler -> sampler == now.power()).isPresent();
      if (isClosed || isSame && !subscription.orElseThrow().isClosed()) {
        return;
      }
      List<Integer> ids = now.devices().stream().map(DeviceWorker::id).toList();
      makeRoomFor(ids.stream().filter(id -> !rings.containsKey(id)).toList());
      Optional<Subscription<?>> before = subscription;
      followed = Optional.of(now.power());
      subscription = Optional.of(record(now.power(), ids));
      before.ifPresent(Subscription::close);
    }
  }

  private void makeRoomFor(List<Integer> ids) {
    if (ids.isEmpty()) {
      return;
    }
    long leftBytes = mostBytes - bytes();
    long wanted = length.toMillis() * pollHz / 1000 + 1;
    int capacity = (int) Math.min(wanted, leftBytes / bytesPerReading / ids.size());
    if (capacity < 1) {
      LOG.log(
          System.Logger.Level.WARNING,
          "the heap is too small for the power history of {0}s {1}; more with Java''s option -Xmx",
          kind,
          ids);
      return;
    }
    Map<Integer, PowerRing> all = new HashMap<>(rings);
    ids.forEach(id -> all.put(id, new PowerRing(capacity)));
    rings = Map.copyOf(all);
    if (capacity < wanted) {
      LOG.log(
          System.Logger.Level.WARNING,
          "power of {0}s {1} is kept for {2} s instead of {3} s, since the heap may only grow to"
              + " {4} MB; more with Java''s option -Xmx or a lower rate",
          kind,
          ids,
          String.valueOf(capacity / pollHz),
          String.valueOf(length.toSeconds()),
          String.valueOf(Runtime.getRuntime().maxMemory() / (1 << 20)));
    } else {
      LOG.log(
          System.Logger.Level.INFO,
          "power of {0}s {1} is kept for {2} s, in {3} MB",
          kind,
          ids,
          String.valueOf(length.toSeconds()),
          String.format(Locale.ROOT, "%.1f", bytes() / BYTES_PER_MB));
    }
  }

  private <S extends PowerSample> Subscription<S> record(
      PowerSampler<?, S> sampler, List<Integer> ids) {
    Subscription.Visitor<S> adder = (sample, readNanos) -> add(sample);
    return sampler.follow(ids, own -> own.forEachCurrent(adder), watch::wake);
  }

  private void add(PowerSample sample) {
    PowerRing ring = rings.get(sample.id());
    if (ring != null) {
      switch (sample) {
        case GpuPowerSample gpu -> ring.add(gpu.timestampMs(), gpu.powerMw(), Float.NaN);
        case CpuPowerSample cpu ->
            ring.add(
                cpu.timestampMs(),
                cpu.cpuMw(),
                cpu.dramMw().isPresent() ? cpu.dramMw().getAsLong() : Float.NaN);
      }
    }
  }

  /** {@return for how long power is kept, where there is memory for it} */
  public Duration length() {
    return length;
  }

  /** {@return how often a device is read, in ms; at least 1} */
  public long periodMs() {
    return Math.max(1, 1000 / pollHz);
  }

  /** {@return the memory that is taken, in bytes} */
  public long bytes() {
    return rings.values().stream().mapToLong(PowerRing::capacity).sum() * bytesPerReading;
  }

  /**
   * What was read of a device.
   *
   * @param power its power; of a CPU that of the package
   * @param dram the power of a CPU's DRAM; empty if none was read
   */
  public record Recorded(PowerSteps power, Optional<PowerSteps> dram) {}

  /**
   * {@return the power of a device in these steps; without any reading if it is not known}
   *
   * @param id the device's id
   * @param times the steps
   */
  public Recorded read(int id, TimeSteps times) {
    PowerSteps power = new PowerSteps(times);
    PowerSteps dram = new PowerSteps(times);
    boolean[] hasDram = new boolean[1];
    PowerRing ring = rings.get(id);
    if (ring != null) {
      ring.forEach(
          times.fromMs(),
          times.toMs(),
          (timestampMs, powerMw, dramMw) -> {
            power.add(timestampMs, powerMw);
            if (!Float.isNaN(dramMw)) {
              hasDram[0] = true;
              dram.add(timestampMs, dramMw);
            }
          });
    }
    return new Recorded(power, hasDram[0] ? Optional.of(dram) : Optional.empty());
  }

  /**
   * {@return when the oldest reading of a device was taken that is still there, in ms since 1970}
   *
   * @param id the device's id
   */
  public OptionalLong oldestMs(int id) {
    PowerRing ring = rings.get(id);
    return ring == null ? OptionalLong.empty() : ring.oldestMs();
  }

  /** Ends the readings. Idempotent. */
  @Override
  public synchronized void close() {
    isClosed = true;
    watch.end();
    subscription.ifPresent(Subscription::close);
  }
}
