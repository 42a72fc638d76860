package dev.zeusd.core.device;

/**
 * What a CPU package is.
 *
 * @param id the number of its RAPL zone: the {@code N} of {@code intel-rapl:N}
 * @param dramAvailable whether the energy of its DRAM is counted too
 */
public record CpuInfo(int id, boolean dramAvailable) {}
