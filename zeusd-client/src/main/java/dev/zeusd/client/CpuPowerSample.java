package dev.zeusd.client;

/**
 * The power of a CPU at one moment.
 *
 * @param timestampMs when it was read, in ms since 1970; within a CPU always later than before
 * @param cpuId which CPU
 * @param power of the CPU and its memory
 */
public record CpuPowerSample(long timestampMs, int cpuId, CpuPower power) {}
