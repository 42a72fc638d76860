package dev.zeusd.client;

/**
 * The power of a GPU at one moment.
 *
 * @param timestampMs when it was read, in ms since 1970; within a GPU always later than before
 * @param gpuId which GPU
 * @param powerMw in mW
 */
public record GpuPowerSample(long timestampMs, int gpuId, long powerMw) {}
