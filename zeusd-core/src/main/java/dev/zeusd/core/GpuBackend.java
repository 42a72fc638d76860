package dev.zeusd.core;

/** Where GPUs come from. */
public enum GpuBackend {
  /** NVIDIA's by NVML, AMD's by AMD SMI, Intel's by hwmon: all that there are; else no GPUs. */
  AUTO,
  /** NVML; without it the node does not open. */
  NVML,
  /** AMD SMI; without it the node does not open. */
  AMDSMI,
  /** Simulated GPUs, for trying out and for tests. */
  SIMULATED,
  /** The same, of which one is partitioned into instances (MIG). */
  SIMULATED_MIG,
  /** No GPUs: nothing is loaded. */
  NONE
}
