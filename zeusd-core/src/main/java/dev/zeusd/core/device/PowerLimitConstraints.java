package dev.zeusd.core.device;

/** The power limits that a GPU accepts, in mW, both ends included. */
public record PowerLimitConstraints(long minPowerLimitMw, long maxPowerLimitMw) {}
