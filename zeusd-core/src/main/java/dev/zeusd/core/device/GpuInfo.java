package dev.zeusd.core.device;

import java.util.Optional;

/**
 * What a GPU is. Each fact stands by itself: one that the driver does not tell is missing, and the
 * GPU is there all the same.
 *
 * @param id NVIDIA's come first, in NVML's order at the start; never changes
 * @param name product name, or {@code unknown}
 * @param uuid as the driver prints it, such as {@code GPU-…}; no other GPU's
 * @param pciAddress as {@code lspci -D} prints it, such as {@code 0000:19:00.0}
 * @param cumulativeEnergyAvailable whether the GPU counts its energy (Volta and newer)
 * @param powerScope what its power covers
 */
public record GpuInfo(
    int id,
    String name,
    Optional<String> uuid,
    Optional<String> pciAddress,
    Optional<Boolean> cumulativeEnergyAvailable,
    PowerScope powerScope) {
  /**
   * {@return what is known of a GPU that has told nothing so far}
   *
   * @param id its id
   */
  public static GpuInfo unknown(int id) {
    return new GpuInfo(
        id, "unknown", Optional.empty(), Optional.empty(), Optional.empty(), PowerScope.GPU);
  }
}
