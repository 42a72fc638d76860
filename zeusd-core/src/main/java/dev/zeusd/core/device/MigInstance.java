package dev.zeusd.core.device;

import java.util.Optional;

/**
 * One of the instances that a GPU is partitioned into (NVIDIA's Multi-Instance GPU). Power, energy,
 * clocks and settings are those of the whole GPU, and no instance's. What the driver does not tell
 * is missing.
 *
 * @param index its place among the GPU's instances, as {@code nvidia-smi -L} shows it
 * @param uuid as the driver prints it, such as {@code MIG-…}; as long as the instance is there
 * @param name product name and profile, such as {@code NVIDIA A100-SXM4-40GB MIG 1g.5gb}
 * @param gpuInstanceId unique on the GPU
 * @param computeInstanceId unique in the GPU instance
 */
public record MigInstance(
    int index,
    Optional<String> uuid,
    Optional<String> name,
    Optional<Long> gpuInstanceId,
    Optional<Long> computeInstanceId) {}
