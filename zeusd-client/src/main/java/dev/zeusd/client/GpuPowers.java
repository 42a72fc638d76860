package dev.zeusd.client;

/**
 * The power of GPUs at one moment.
 *
 * @param timestampMs when the hardware was read, in ms since 1970
 * @param powerMw in mW
 */
public record GpuPowers(long timestampMs, PerDevice<Long> powerMw) {}
