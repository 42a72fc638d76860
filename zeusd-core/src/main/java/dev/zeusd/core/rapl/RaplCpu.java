package dev.zeusd.core.rapl;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.kernel.BootClock;
import java.nio.file.Path;
import java.util.Optional;

/** A CPU package, or the platform, behind RAPL. */
final class RaplCpu implements Cpu, AutoCloseable {
  private final CpuInfo info;
  private final RaplCounter cpuCounter;
  private final Optional<RaplCounter> dramCounter;

  /** What the zone {@code zone} counts; nothing is read yet. */
  RaplCpu(
      int id,
      CpuInfo.Domain domain,
      Path zone,
      Optional<Path> dramZone,
      BootClock clock,
      SavedCounters saved) {
    this.info = new CpuInfo(id, dramZone.isPresent(), domain);
    this.cpuCounter = new RaplCounter(zone, highestPowerUjPerNs(domain), clock, saved);
    this.dramCounter =
        dramZone.map(dram -> new RaplCounter(dram, highestPowerUjPerNs(domain), clock, saved));
  }

  /** What no zone of that kind draws for long: 1 kW a package, 10 kW a platform. */
  private static long highestPowerUjPerNs(CpuInfo.Domain domain) {
    return switch (domain) {
      case PACKAGE -> 1;
      case MODULE, PSYS -> 10;
    };
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
    return dramCounter.map(counter -> counter);
  }

  @Override
  public void close() {
    cpuCounter.close();
    dramCounter.ifPresent(RaplCounter::close);
  }
}
