package dev.zeusd.core.device;

/**
 * The power limits that a GPU accepts, in mW, both ends included.
 *
 * @param minPowerLimitMw the lowest limit that can be set, in mW
 * @param maxPowerLimitMw the highest limit that can be set, in mW
 */
public record PowerLimitConstraints(long minPowerLimitMw, long maxPowerLimitMw) {}
