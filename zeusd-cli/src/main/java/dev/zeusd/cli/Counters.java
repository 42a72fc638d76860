package dev.zeusd.cli;

import dev.zeusd.client.CpuEnergy;
import dev.zeusd.client.Discovery;
import dev.zeusd.client.EnergyReport;
import dev.zeusd.client.PerDevice;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What the energy counters of devices showed at a moment.
 *
 * @param atMs when, in ms since 1970
 * @param atNanos when, by {@link System#nanoTime}
 * @param gpuMj of GPUs, in mJ, unless they may not be read
 * @param cpus of CPUs, unless they may not be read
 * @param discovery which devices there are
 */
record Counters(
    long atMs,
    long atNanos,
    Optional<PerDevice<Long>> gpuMj,
    Optional<PerDevice<CpuEnergy>> cpus,
    Discovery discovery) {
  private static final double MJ_PER_J = 1e3;
  private static final double UJ_PER_J = 1e6;

  /** The energy from a moment to this one. */
  EnergyReport since(Counters begin) {
    PerDevice<EnergyReport.Gpu> gpuEnergy = gpusSince(begin);
    PerDevice<EnergyReport.Cpu> cpuEnergy = cpusSince(begin);
    double totalJ =
        gpuEnergy.values().values().stream().mapToLong(EnergyReport.Gpu::energyMj).sum() / MJ_PER_J;
    boolean cpusAreCounted = discovery.gpus().stream().anyMatch(Discovery.Gpu::ofModule);
    if (!cpusAreCounted) {
      totalJ +=
          cpuEnergy.values().values().stream()
                  .mapToLong(cpu -> cpu.cpuEnergyUj() + cpu.dramEnergyUj().orElse(0))
                  .sum()
              / UJ_PER_J;
    }
    double seconds = (atNanos - begin.atNanos) / 1e9;
    return new EnergyReport("", begin.atMs, seconds, gpuEnergy, cpuEnergy, totalJ);
  }

  private PerDevice<EnergyReport.Gpu> gpusSince(Counters begin) {
    SortedMap<Integer, EnergyReport.Gpu> values = new TreeMap<>();
    SortedMap<Integer, String> errors = errors(begin.gpuMj, gpuMj);
    values(gpuMj)
        .forEach(
            (id, mj) -> {
              Long before = values(begin.gpuMj).get(id);
              if (before != null) {
                values.put(id, new EnergyReport.Gpu(mj - before, "counter", 0, 0));
              }
            });
    return new PerDevice<>(values, errors);
  }

  private PerDevice<EnergyReport.Cpu> cpusSince(Counters begin) {
    SortedMap<Integer, EnergyReport.Cpu> values = new TreeMap<>();
    values(cpus)
        .forEach(
            (id, now) -> {
              CpuEnergy before = values(begin.cpus).get(id);
              if (before != null) {
                OptionalLong cpuUj = difference(now.cpuEnergyUj(), before.cpuEnergyUj());
                OptionalLong dramUj = difference(now.dramEnergyUj(), before.dramEnergyUj());
                cpuUj.ifPresent(uj -> values.put(id, new EnergyReport.Cpu(uj, dramUj, 0, 0)));
              }
            });
    return new PerDevice<>(values, errors(begin.cpus, cpus));
  }

  private static OptionalLong difference(OptionalLong now, OptionalLong before) {
    return now.isPresent() && before.isPresent()
        ? OptionalLong.of(now.getAsLong() - before.getAsLong())
        : OptionalLong.empty();
  }

  private static <T> Map<Integer, T> values(Optional<PerDevice<T>> read) {
    return read.isPresent() ? read.get().values() : Map.of();
  }

  private static <T> SortedMap<Integer, String> errors(
      Optional<PerDevice<T>> begin, Optional<PerDevice<T>> end) {
    SortedMap<Integer, String> errors = new TreeMap<>();
    begin.ifPresent(read -> errors.putAll(read.errors()));
    end.ifPresent(read -> errors.putAll(read.errors()));
    return errors;
  }
}
