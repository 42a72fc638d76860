package dev.zeusd.core.device;

import java.util.OptionalLong;

/**
 * What a CPU package has used so far.
 *
 * @param cpuEnergyUj energy of the package, in uJ
 * @param dramEnergyUj energy of its DRAM, in uJ, where it is counted and can be read
 */
public record CpuEnergy(long cpuEnergyUj, OptionalLong dramEnergyUj) {}
