/**
 * Typed access to NVIDIA's management library, {@code libnvidia-ml.so.1}.
 *
 * <p>Native memory never leaves this package: callers see longs, strings and records. Facts about
 * the functions come from NVIDIA's NVML API reference; {@code headers/nvml.h} declares them.
 */
package dev.zeusd.ffm.nvml;
