package dev.zeusd.core.device;

/**
 * The driver of a GPU.
 *
 * @param vendor in one lower-case word, such as {@code nvidia}
 * @param version as the driver prints it, such as {@code 580.95.05}; empty if it does not tell
 */
public record GpuDriver(String vendor, String version) {}
