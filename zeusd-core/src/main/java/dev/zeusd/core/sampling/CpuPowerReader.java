package dev.zeusd.core.sampling;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentMap;
import java.util.function.LongSupplier;

/**
 * A package's power: the difference of two reads of its counters. Without an earlier read to
 * compare with (the first one, or the first after a failure or a reset) there is no sample.
 *
 * <p>DRAM that cannot be read, or has no earlier read, is left out of the sample.
 */
final class CpuPowerReader implements PowerReader<Cpu, CpuPowerSample> {
  private static final System.Logger LOG = System.getLogger(CpuPowerReader.class.getName());

  private EnergyReading lastCpu;
  private EnergyReading lastDram;

  /** Of all packages, by id, so that what fails is not told again by the next reader. */
  private final ConcurrentMap<Integer, FailureLog> dramFailures;

  CpuPowerReader(ConcurrentMap<Integer, FailureLog> dramFailures) {
    this.dramFailures = dramFailures;
  }

  @Override
  public CpuPowerSample read(Cpu cpu, LongSupplier timestampMs) {
    EnergyReading beforeCpu = lastCpu;
    lastCpu = null;
    lastCpu = cpu.cpuCounter().read();
    long readMs = timestampMs.getAsLong();
    OptionalLong dramMw = dramMw(cpu);
    OptionalLong cpuMw = powerMw(beforeCpu, lastCpu);
    return cpuMw.isEmpty()
        ? null
        : new CpuPowerSample(readMs, cpu.info().id(), cpuMw.getAsLong(), dramMw);
  }

  private OptionalLong dramMw(Cpu cpu) {
    EnergyReading before = lastDram;
    lastDram = cpu.dramCounter().map(counter -> readDram(counter, cpu.info().id())).orElse(null);
    return lastDram == null ? OptionalLong.empty() : powerMw(before, lastDram);
  }

  private EnergyReading readDram(EnergyCounter counter, int cpuId) {
    FailureLog failures = dramFailures.computeIfAbsent(cpuId, CpuPowerReader::dramFailures);
    try {
      EnergyReading reading = counter.read();
      failures.worked();
      return reading;
    } catch (DeviceException e) {
      failures.failed(e);
      return null;
    }
  }

  private static FailureLog dramFailures(int cpuId) {
    return new FailureLog(
        LOG, "CPU " + cpuId, "reading its DRAM fails", "its DRAM can be read again");
  }

  private static OptionalLong powerMw(EnergyReading before, EnergyReading now) {
    return before == null ? OptionalLong.empty() : now.powerMwSince(before);
  }
}
