package dev.zeusd.client;

/**
 * The power of CPUs at one moment.
 *
 * @param timestampMs when the hardware was read, in ms since 1970
 * @param power of each CPU and its memory
 */
public record CpuPowers(long timestampMs, PerDevice<CpuPower> power) {}
