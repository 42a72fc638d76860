package dev.zeusd.client;

/** Endpoints that a daemon has enabled together, and that tokens are good for. */
public enum ApiGroup {
  /** What changes GPUs, leases included: {@code gpu-control}. */
  GPU_CONTROL,
  /** What reads GPUs: {@code gpu-read}. */
  GPU_READ,
  /** What reads CPUs: {@code cpu-read}. */
  CPU_READ
}
