package dev.zeusd.server.metrics;

import dev.zeusd.core.device.CpuEnergy;
import dev.zeusd.core.device.CpuInfo;
import io.prometheus.metrics.model.snapshots.Labels;
import java.util.List;
import java.util.Optional;

/** The metrics of CPUs. */
final class CpuFamilies {
  private static final double MICROJOULES_PER_JOULE = 1e6;

  private CpuFamilies() {}

  /**
   * What a scrape has found out about a CPU.
   *
   * @param energy empty if it cannot be read, or not in time
   */
  record CpuScrape(CpuInfo info, Optional<CpuEnergy> energy) {
    private Labels labels() {
      return Labels.of("cpu", Integer.toString(info.id()));
    }
  }

  static void add(List<CpuScrape> cpus, Families families) {
    families.gauge(
        "zeusd_cpu_up",
        "Whether the CPU's energy could be read by this scrape within two seconds.",
        samples -> cpus.forEach(cpu -> samples.add(cpu.labels(), cpu.energy.isPresent() ? 1 : 0)));
    families.info(
        "zeusd_cpu",
        "What the CPU is.",
        cpus.stream()
            .map(
                cpu ->
                    cpu.labels()
                        .merge(
                            Labels.of(
                                "domain",
                                cpu.info.domain().wireName(),
                                "dram",
                                Boolean.toString(cpu.info.dramAvailable()))))
            .toList());
    families.counter(
        "zeusd_cpu_energy_joules",
        "Energy that the CPU package has used, or its DRAM, which is not part of it.",
        samples ->
            cpus.forEach(cpu -> cpu.energy.ifPresent(energy -> addEnergy(cpu, energy, samples))));
  }

  private static void addEnergy(CpuScrape cpu, CpuEnergy energy, Families.Samples samples) {
    samples.add(cpu.labels().add("zone", "package"), energy.cpuEnergyUj() / MICROJOULES_PER_JOULE);
    energy
        .dramEnergyUj()
        .ifPresent(uj -> samples.add(cpu.labels().add("zone", "dram"), uj / MICROJOULES_PER_JOULE));
  }
}
