package dev.zeusd.client;

/**
 * Which power limits a GPU takes.
 *
 * @param minPowerLimitMw the lowest, in mW
 * @param maxPowerLimitMw the highest, in mW
 */
public record PowerLimitConstraints(long minPowerLimitMw, long maxPowerLimitMw) {}
