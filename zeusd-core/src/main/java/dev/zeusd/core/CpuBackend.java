package dev.zeusd.core;

/** Where CPUs come from. */
public enum CpuBackend {
  /**
   * RAPL, as Linux shows it in one of {@link NodeConfig#raplDirs}, and the sensors of CPUs in
   * {@link NodeConfig#hwmonDirs}; without both no CPUs.
   */
  RAPL,
  /** Simulated CPUs, for trying out and for tests. */
  SIMULATED,
  /** No CPUs: nothing is opened. */
  NONE
}
