package dev.zeusd.core.device;

import java.util.Optional;
import java.util.OptionalLong;

/**
 * One CPU package. Whatever reads throws {@link DeviceException} when the hardware cannot be read.
 *
 * <p>Not thread-safe: all calls but {@link #info} come from the package's {@link
 * dev.zeusd.core.worker.DeviceWorker}. Every reader of a package, one-shot or repeated, shares its
 * counters, so all see the same energy.
 */
public interface Cpu {
  /** {@return what does not change: known without asking the hardware} */
  CpuInfo info();

  /**
   * {@return the package's counter, for differences over a short time} It misses wraps between two
   * reads that are far apart; {@link #cpuEnergyUj} does not.
   */
  EnergyCounter cpuCounter();

  /** {@return the counter of the package's DRAM, if there is one; as {@link #cpuCounter}} */
  Optional<EnergyCounter> dramCounter();

  /**
   * {@return energy of the package so far, in uJ; never goes back} The DRAM is not read.
   *
   * <p>For a CPU of a {@link dev.zeusd.core.Node}, the first call starts a guard, which reads the
   * counter now and then, so that no wrap is missed however far apart two calls are.
   */
  default long cpuEnergyUj() {
    return cpuCounter().read().energyUj();
  }

  /**
   * {@return energy of the DRAM so far, in uJ, as {@link #cpuEnergyUj}; empty where it is not
   * counted} The package's counter is not read.
   */
  default OptionalLong dramEnergyUj() {
    Optional<EnergyCounter> dram = dramCounter();
    return dram.isPresent() ? OptionalLong.of(dram.get().read().energyUj()) : OptionalLong.empty();
  }

  /**
   * {@return both energies so far, as {@link #cpuEnergyUj} and {@link #dramEnergyUj}} DRAM that
   * cannot be read is left out, as if it were not counted.
   */
  default CpuEnergy energy() {
    long cpuEnergyUj = cpuEnergyUj();
    try {
      return new CpuEnergy(cpuEnergyUj, dramEnergyUj());
    } catch (DeviceException e) {
      return new CpuEnergy(cpuEnergyUj, OptionalLong.empty());
    }
  }
}
