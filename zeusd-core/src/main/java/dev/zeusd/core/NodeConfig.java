package dev.zeusd.core;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/**
 * What a {@link Node} opens.
 *
 * @param gpuBackend where GPUs come from
 * @param gpuPowerPollHz how often a GPU's power is read while somebody wants it, 1 to 1000 a second
 * @param cpuBackend where CPUs come from
 * @param cpuPowerPollHz how often a CPU's power is read while somebody wants it, 1 to 1000 a second
 * @param raplDir directory with the RAPL zones {@code intel-rapl:N}; need not exist
 */
public record NodeConfig(
    GpuBackend gpuBackend,
    int gpuPowerPollHz,
    CpuBackend cpuBackend,
    int cpuPowerPollHz,
    Path raplDir) {
  /** The highest rate at which power is read, in Hz. */
  public static final int MAX_POLL_HZ = 1000;

  /** Where a container finds the host's zones, if somebody mounted them. */
  private static final Path CONTAINER_RAPL_DIR = Path.of("/zeus_sys/class/powercap/intel-rapl");

  private static final Path HOST_RAPL_DIR = Path.of("/sys/class/powercap/intel-rapl");

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException for a rate out of range
   */
  public NodeConfig {
    Objects.requireNonNull(gpuBackend);
    Objects.requireNonNull(cpuBackend);
    Objects.requireNonNull(raplDir);
    checkPollHz("gpuPowerPollHz", gpuPowerPollHz);
    checkPollHz("cpuPowerPollHz", cpuPowerPollHz);
  }

  private static void checkPollHz(String name, int pollHz) {
    if (pollHz < 1 || pollHz > MAX_POLL_HZ) {
      throw new IllegalArgumentException(name + " is " + pollHz + ", must be 1 to " + MAX_POLL_HZ);
    }
  }

  /** The real devices of this machine: GPUs at 20 Hz, CPUs at 10 Hz. */
  public static NodeConfig defaults() {
    return new NodeConfig(GpuBackend.AUTO, 20, CpuBackend.RAPL, 10, defaultRaplDir());
  }

  /** Simulated devices, at the same rates: needs no hardware and no privilege. */
  public static NodeConfig simulated() {
    return defaults().withGpuBackend(GpuBackend.SIMULATED).withCpuBackend(CpuBackend.SIMULATED);
  }

  /**
   * {@code /zeus_sys/class/powercap/intel-rapl} if it exists, as it does in a container that has
   * the host's {@code /sys} there, else {@code /sys/class/powercap/intel-rapl}.
   */
  public static Path defaultRaplDir() {
    return Files.isDirectory(CONTAINER_RAPL_DIR) ? CONTAINER_RAPL_DIR : HOST_RAPL_DIR;
  }

  /** The same with another source of GPUs. */
  public NodeConfig withGpuBackend(GpuBackend backend) {
    return new NodeConfig(backend, gpuPowerPollHz, cpuBackend, cpuPowerPollHz, raplDir);
  }

  /** The same with another rate for GPUs, in Hz. */
  public NodeConfig withGpuPowerPollHz(int pollHz) {
    return new NodeConfig(gpuBackend, pollHz, cpuBackend, cpuPowerPollHz, raplDir);
  }

  /** The same with another source of CPUs. */
  public NodeConfig withCpuBackend(CpuBackend backend) {
    return new NodeConfig(gpuBackend, gpuPowerPollHz, backend, cpuPowerPollHz, raplDir);
  }

  /** The same with another rate for CPUs, in Hz. */
  public NodeConfig withCpuPowerPollHz(int pollHz) {
    return new NodeConfig(gpuBackend, gpuPowerPollHz, cpuBackend, pollHz, raplDir);
  }

  /** The same with another directory of RAPL zones. */
  public NodeConfig withRaplDir(Path dir) {
    return new NodeConfig(gpuBackend, gpuPowerPollHz, cpuBackend, cpuPowerPollHz, dir);
  }
}
