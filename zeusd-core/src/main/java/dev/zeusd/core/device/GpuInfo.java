package dev.zeusd.core.device;

/**
 * What a GPU is.
 *
 * @param id NVML's index at start
 * @param name product name
 * @param pciAddress as {@code lspci -D} prints it, such as {@code 0000:19:00.0}
 * @param cumulativeEnergyAvailable whether the GPU counts its energy (Volta and newer)
 */
public record GpuInfo(int id, String name, String pciAddress, boolean cumulativeEnergyAvailable) {}
