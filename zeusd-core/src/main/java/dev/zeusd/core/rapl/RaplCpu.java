package dev.zeusd.core.rapl;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.EnergyCounter;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.LongSupplier;

/** A CPU package behind RAPL. */
final class RaplCpu implements Cpu, AutoCloseable {
  private final CpuInfo info;
  private final RaplCounter cpuCounter;
  private final Optional<RaplCounter> dramCounter;

  /** The package of the zone {@code zone}; nothing is read yet. */
  RaplCpu(int id, Path zone, Optional<Path> dramZone, LongSupplier nanoTime) {
    this.info = new CpuInfo(id, dramZone.isPresent());
    this.cpuCounter = new RaplCounter(zone, nanoTime);
    this.dramCounter = dramZone.map(dram -> new RaplCounter(dram, nanoTime));
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
