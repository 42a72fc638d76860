package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.util.OptionalLong;

/**
 * The energy of one CPU.
 *
 * @param cpuEnergyUj of the package, in µJ; empty if it was not asked for
 * @param dramEnergyUj of its memory, in µJ; empty if it was not asked for, is not measured, or
 *     cannot be read
 */
public record CpuEnergy(OptionalLong cpuEnergyUj, OptionalLong dramEnergyUj) {
  static CpuEnergy of(JsonObject json) {
    return new CpuEnergy(
        Json.optionalLong(json, "cpu_energy_uj"), Json.optionalLong(json, "dram_energy_uj"));
  }
}
