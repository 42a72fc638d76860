package dev.zeusd.core.energy;

import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.PowerScope;
import java.time.Duration;
import java.util.Collections;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What an energy window has measured, up to a moment.
 *
 * @param name of the window
 * @param startedMs when it began, in ms since 1970
 * @param elapsed how long it has been open by then
 * @param gpus by id; those that could be measured
 * @param cpus by id; those that could be measured
 * @param gpuProblems why the other GPUs could not, by id, for people
 * @param cpuProblems why the other CPUs could not, by id, for people
 */
public record WindowEnergy(
    String name,
    long startedMs,
    Duration elapsed,
    SortedMap<Integer, OfGpu> gpus,
    SortedMap<Integer, OfCpu> cpus,
    SortedMap<Integer, String> gpuProblems,
    SortedMap<Integer, String> cpuProblems) {
  private static final double MJ_PER_J = 1e3;
  private static final double UJ_PER_J = 1e6;

  /** Keeps the maps as they are now. */
  public WindowEnergy {
    Objects.requireNonNull(name);
    gpus = copy(gpus);
    cpus = copy(cpus);
    gpuProblems = copy(gpuProblems);
    cpuProblems = copy(cpuProblems);
  }

  private static <T> SortedMap<Integer, T> copy(Map<Integer, T> map) {
    return Collections.unmodifiableSortedMap(new TreeMap<>(map));
  }

  /** Where an energy comes from. */
  public enum Method {
    /** The device counts it. */
    COUNTER,
    /** The device does not, so it is the sum of its power, at the rate at which that is read. */
    INTEGRATED
  }

  /**
   * Of a GPU.
   *
   * @param energyMj its energy, in mJ
   * @param method where it comes from
   * @param gapMs for how long nobody looked after it, in ms: while the daemon was not running, or
   *     the device did not answer
   * @param missingMs the part of it whose energy is not in {@code energyMj}, in ms: all of it for
   *     one that is integrated; for a counter none, unless it was reset or still does not answer
   * @param scope {@code MODULE} if it is the energy of the module that carries it, CPU included
   */
  public record OfGpu(long energyMj, Method method, long gapMs, long missingMs, PowerScope scope) {
    /** {@return the energy in J} */
    public double joules() {
      return energyMj / MJ_PER_J;
    }
  }

  /**
   * Of a CPU, which always counts.
   *
   * @param cpuEnergyUj energy of the package, in uJ
   * @param dramEnergyUj energy of its DRAM, in uJ, where it is counted and can be read
   * @param domain which part of the machine it is; {@code PSYS} holds the packages
   * @param gapMs as for a GPU
   * @param missingMs as for a GPU
   */
  public record OfCpu(
      long cpuEnergyUj,
      OptionalLong dramEnergyUj,
      CpuInfo.Domain domain,
      long gapMs,
      long missingMs) {
    /** {@return the energy in J, that of its DRAM included} */
    public double joules() {
      return (cpuEnergyUj + dramEnergyUj.orElse(0)) / UJ_PER_J;
    }
  }

  /**
   * {@return the energy of all devices in J, of each but once} That is without CPUs that hold
   * others, and without all CPUs where a GPU's energy is its module's, which has the CPU in it.
   */
  public double totalJoules() {
    double gpuJ = gpus.values().stream().mapToDouble(OfGpu::joules).sum();
    boolean hasCpus = gpus.values().stream().anyMatch(gpu -> gpu.scope() == PowerScope.MODULE);
    return hasCpus
        ? gpuJ
        : gpuJ
            + cpus.values().stream()
                .filter(cpu -> cpu.domain() == CpuInfo.Domain.PACKAGE)
                .mapToDouble(OfCpu::joules)
                .sum();
  }
}
