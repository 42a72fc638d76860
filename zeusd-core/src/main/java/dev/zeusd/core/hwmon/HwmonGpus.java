package dev.zeusd.core.hwmon;

import dev.zeusd.core.Backend;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.rapl.BootClock;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;

/**
 * Intel's GPUs, whose drivers {@code i915} and {@code xe} count energy. They have neither a UUID
 * nor settings here.
 */
public final class HwmonGpus implements Backend<Gpu> {
  private static final System.Logger LOG = System.getLogger(HwmonGpus.class.getName());
  private static final Set<String> DRIVERS = Set.of("i915", "xe");
  private static final Pattern PCI =
      Pattern.compile("[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]");

  private final List<HwmonGpu> gpus;

  private HwmonGpus(List<HwmonGpu> gpus) {
    this.gpus = List.copyOf(gpus);
  }

  /** Those that there are; reads names, and no energy. */
  public static HwmonGpus find(Path dir, GpuIds ids, BootClock clock) {
    List<HwmonGpu> gpus = new ArrayList<>();
    for (Chip chip : Chip.in(dir)) {
      String driver = chip.name();
      // Of a card; xe's second counter, and those of i915's parts, are in it.
      Optional<Path> energy =
          DRIVERS.contains(driver) ? chip.file("energy1_input") : Optional.empty();
      energy.ifPresent(file -> gpus.add(gpu(chip, driver, file, ids.take(1), clock)));
    }
    if (!gpus.isEmpty()) {
      LOG.log(System.Logger.Level.INFO, "{0} GPU(s) of Intel by hwmon in {1}", gpus.size(), dir);
    }
    return new HwmonGpus(gpus);
  }

  private static HwmonGpu gpu(Chip chip, String driver, Path file, int id, BootClock clock) {
    GpuInfo info =
        new GpuInfo(
            id,
            "Intel GPU (" + driver + ")",
            Optional.empty(),
            pciAddress(chip),
            Optional.of(true),
            PowerScope.GPU);
    return new HwmonGpu(info, new EnergyFile(file, clock));
  }

  private static Optional<String> pciAddress(Chip chip) {
    try {
      String name = chip.dir().resolve("device").toRealPath().getFileName().toString();
      return PCI.matcher(name).matches() ? Optional.of(name) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  @Override
  public List<Gpu> devices() {
    return List.copyOf(gpus);
  }

  @Override
  public void close() {
    gpus.forEach(gpu -> gpu.energy.close());
  }

  /** For one thread at a time. */
  private static final class HwmonGpu implements Gpu {
    /** Over less, the counter's steps show; over more, it is not the power of now. */
    private static final long MIN_NANOS = 5_000_000L;

    private static final long MAX_NANOS = 2_000_000_000L;

    private static final long UJ_PER_MJ = 1000;

    private final GpuInfo info;
    private final EnergyFile energy;
    private Optional<EnergyReading> last = Optional.empty();
    private long lastPowerMw;

    HwmonGpu(GpuInfo info, EnergyFile energy) {
      this.info = info;
      this.energy = energy;
    }

    @Override
    public GpuInfo info() {
      return info;
    }

    @Override
    public Optional<String> vendor() {
      return Optional.of("intel");
    }

    @Override
    public Optional<GpuDriver> driver() {
      return Optional.of(new GpuDriver("intel", ""));
    }

    /** Mean power since the read before; without one that is near enough, this takes 20 ms. */
    @Override
    public long powerMw() {
      EnergyReading now = energy.read();
      long sinceNanos =
          last.map(before -> now.readNanos() - before.readNanos()).orElse(Long.MAX_VALUE);
      if (sinceNanos < MIN_NANOS) {
        return lastPowerMw;
      }
      EnergyReading from = sinceNanos > MAX_NANOS ? now : last.get();
      EnergyReading to = now;
      OptionalLong powerMw = to.powerMwSince(from);
      while (powerMw.isEmpty()) {
        // Also after a reload of the driver: then there is no difference to the read before.
        from = to;
        LockSupport.parkNanos(4 * MIN_NANOS);
        to = energy.read();
        powerMw = to.powerMwSince(from);
      }
      last = Optional.of(to);
      lastPowerMw = powerMw.getAsLong();
      return lastPowerMw;
    }

    @Override
    public long energyMj() {
      return energy.read().energyUj() / UJ_PER_MJ;
    }
  }
}
