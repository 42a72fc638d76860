package dev.zeusd.core;

/** Where GPUs come from. */
public enum GpuBackend {
  /** NVML where its library loads and reports GPUs, else no GPUs. */
  AUTO,
  /** NVML; without it the node does not open. */
  NVML,
  /** Simulated GPUs, for trying out and for tests. */
  SIMULATED,
  /** No GPUs: nothing is loaded. */
  NONE
}
