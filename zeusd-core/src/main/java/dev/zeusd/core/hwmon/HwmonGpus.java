package dev.zeusd.core.hwmon;

import dev.zeusd.core.Backend;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.kernel.BootClock;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
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

  private static final String ENERGY = "energy1_input";

  private final List<HwmonGpu> gpus;

  private HwmonGpus(List<HwmonGpu> gpus) {
    this.gpus = List.copyOf(gpus);
  }

  /**
   * Those that there are; reads names, and no energy.
   *
   * @param dirs of which the first that has sensors is taken
   */
  public static HwmonGpus find(List<Path> dirs, GpuIds ids, BootClock clock) {
    List<HwmonGpu> gpus = new ArrayList<>();
    for (Chip chip : Chip.in(dirs)) {
      String driver = chip.name();
      // Of a card; xe's second counter, and those of i915's parts, are in it.
      Optional<Path> energy = DRIVERS.contains(driver) ? chip.file(ENERGY) : Optional.empty();
      energy.ifPresent(file -> gpus.add(gpu(chip, driver, file, ids.take(1), clock)));
    }
    if (!gpus.isEmpty()) {
      LOG.log(System.Logger.Level.INFO, "{0} GPU(s) of Intel by hwmon", gpus.size());
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
    EnergyFile energy =
        chip.device()
            .map(device -> energyFile(device, file, clock))
            .orElseGet(() -> new EnergyFile(file, clock));
    return new HwmonGpu(info, driver, energy);
  }

  /** By its path below the device: {@code file} may be another GPU's after a reload of drivers. */
  private static EnergyFile energyFile(Path device, Path file, BootClock clock) {
    return new EnergyFile(energyFile(device).orElse(file), () -> energyFile(device), clock);
  }

  /** Below a device, where its driver has put it by now. */
  private static Optional<Path> energyFile(Path device) {
    return Chip.in(List.of(device.resolve("hwmon"))).stream()
        .filter(chip -> DRIVERS.contains(chip.name()))
        .flatMap(chip -> chip.file(ENERGY).stream())
        .findFirst();
  }

  private static Optional<String> pciAddress(Chip chip) {
    return chip.device()
        .map(device -> device.getFileName().toString())
        .filter(name -> PCI.matcher(name).matches());
  }

  @Override
  public List<Gpu> devices() {
    return List.copyOf(gpus);
  }

  @Override
  public void close() {
    gpus.forEach(HwmonGpu::close);
  }
}
