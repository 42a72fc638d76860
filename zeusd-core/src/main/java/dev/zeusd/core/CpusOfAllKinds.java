package dev.zeusd.core;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.hwmon.HwmonCpus;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.rapl.RaplCpus;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** The CPUs that RAPL has, and those that only the kernel's sensors have, side by side. */
final class CpusOfAllKinds implements Backend<Cpu> {
  private final RaplCpus rapl;
  private final List<Path> hwmonDirs;
  private final BootClock clock;

  /** Replaced as long as it has none. */
  private volatile HwmonCpus hwmon;

  CpusOfAllKinds(RaplCpus rapl, List<Path> hwmonDirs, BootClock clock) {
    this.rapl = rapl;
    this.hwmonDirs = hwmonDirs;
    this.clock = clock;
    this.hwmon = findSensors();
  }

  private HwmonCpus findSensors() {
    return HwmonCpus.find(hwmonDirs, !rapl.devices().isEmpty(), clock);
  }

  private boolean hasSensors() {
    return !hwmon.devices().isEmpty();
  }

  /** Zones of RAPL that came when sensors had their numbers already stay away. */
  @Override
  public List<Cpu> devices() {
    List<Cpu> sensors = hwmon.devices();
    if (sensors.isEmpty()) {
      return rapl.devices();
    }
    Set<Integer> taken = sensors.stream().map(cpu -> cpu.info().id()).collect(Collectors.toSet());
    List<Cpu> all = new ArrayList<>(sensors);
    rapl.devices().stream().filter(cpu -> !taken.contains(cpu.info().id())).forEach(all::add);
    return all;
  }

  /** Where there are sensors and no RAPL, as on Arm, there never will be. */
  @Override
  public boolean mayHaveMore() {
    return rapl.mayHaveMore() && !(hasSensors() && rapl.devices().isEmpty());
  }

  @Override
  public void lookForMore() {
    rapl.lookForMore();
    if (!hasSensors()) {
      hwmon = findSensors();
    }
  }

  @Override
  public List<String> problems() {
    return hasSensors() && rapl.devices().isEmpty() ? List.of() : rapl.problems();
  }

  @Override
  public void close() {
    rapl.close();
    hwmon.close();
  }
}
