package dev.zeusd.core;

import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.core.hwmon.HwmonCpus;
import dev.zeusd.core.rapl.RaplCpus;
import dev.zeusd.core.settings.Baseline;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * What a {@link Node} opens.
 *
 * @param gpuBackend where GPUs come from
 * @param gpuPowerPollHz how often a GPU's power is read while somebody wants it, 1 to 1000 a second
 * @param gpuIdleRelease after which time without a call the GPUs' driver is let go of, if ever; see
 *     {@link Node#releaseGpus}
 * @param cpuBackend where CPUs come from
 * @param cpuPowerPollHz how often a CPU's power is read while somebody wants it, 1 to 1000 a second
 * @param raplDirs directories that may hold the RAPL zones {@code intel-rapl:N}: each time that
 *     CPUs are looked for, the first one that has any is taken; none needs to exist
 * @param stateDir directory for what must outlive the process, made if need be; without it, CPU
 *     energy begins anew with each process
 * @param baseline what settings of GPUs are to be while nobody has a {@link Node#leases lease} of
 *     them; in force from the first call of {@link Node#leases} on
 * @param gpuCommands which operations on GPUs commands do in the driver's place
 * @param hwmonDirs directories that may hold the kernel's sensors {@code hwmonN}, of which the
 *     first that has any is taken
 * @param gpuPowerHistory for how long the power of GPUs is kept, if it is; they are then read at
 *     their rate all the time. See {@link Node#gpuPowerHistory}
 * @param cpuPowerHistory the same of CPUs
 * @param driverDir directory that holds the GPU drivers' libraries; without it, they are looked for
 *     where the dynamic linker and the vendors have them
 * @param carriers how many threads of the system carry virtual threads in this JVM, where it is
 *     told another number than that of processors; calls of devices never pin the last one
 */
public record NodeConfig(
    GpuBackend gpuBackend,
    int gpuPowerPollHz,
    Optional<Duration> gpuIdleRelease,
    CpuBackend cpuBackend,
    int cpuPowerPollHz,
    List<Path> raplDirs,
    Optional<Path> stateDir,
    Baseline baseline,
    GpuCommands gpuCommands,
    List<Path> hwmonDirs,
    Optional<Duration> gpuPowerHistory,
    Optional<Duration> cpuPowerHistory,
    Optional<Path> driverDir,
    int carriers) {
  /** The highest rate at which power is read, in Hz. */
  public static final int MAX_POLL_HZ = 1000;

  /** The shortest time for which power can be kept. */
  public static final Duration MIN_HISTORY = Duration.ofSeconds(1);

  /** The longest. */
  public static final Duration MAX_HISTORY = Duration.ofDays(14);

  private static final Duration MIN_IDLE = Duration.ofSeconds(1);

  /** Where a container finds the host's zones, if somebody mounted them; and else. */
  private static final List<Path> USUAL_RAPL_DIRS =
      List.of(
          Path.of("/zeus_sys/class/powercap/intel-rapl"),
          Path.of("/sys/class/powercap/intel-rapl"));

  /** The same of the kernel's sensors. */
  private static final List<Path> USUAL_HWMON_DIRS =
      List.of(Path.of("/zeus_sys/class/hwmon"), Path.of("/sys/class/hwmon"));

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException for a rate or a time out of range
   */
  public NodeConfig {
    Objects.requireNonNull(gpuBackend);
    if (gpuIdleRelease.isPresent() && gpuIdleRelease.get().compareTo(MIN_IDLE) < 0) {
      throw new IllegalArgumentException(
          "gpuIdleRelease is " + gpuIdleRelease.get() + ", must be at least " + MIN_IDLE);
    }
    Objects.requireNonNull(cpuBackend);
    raplDirs = List.copyOf(raplDirs);
    Objects.requireNonNull(stateDir);
    Objects.requireNonNull(baseline);
    Objects.requireNonNull(gpuCommands);
    hwmonDirs = List.copyOf(hwmonDirs);
    Objects.requireNonNull(driverDir);
    if (carriers < 1) {
      throw new IllegalArgumentException(carriers + " carriers of virtual threads are too few");
    }
    gpuPowerHistory.ifPresent(length -> checkHistory("gpuPowerHistory", length));
    cpuPowerHistory.ifPresent(length -> checkHistory("cpuPowerHistory", length));
    checkPollHz("gpuPowerPollHz", gpuPowerPollHz);
    checkPollHz("cpuPowerPollHz", cpuPowerPollHz);
  }

  private static void checkHistory(String name, Duration length) {
    if (length.compareTo(MIN_HISTORY) < 0 || length.compareTo(MAX_HISTORY) > 0) {
      throw new IllegalArgumentException(
          name + " is " + length + ", must be " + MIN_HISTORY + " to " + MAX_HISTORY);
    }
  }

  private static void checkPollHz(String name, int pollHz) {
    if (pollHz < 1 || pollHz > MAX_POLL_HZ) {
      throw new IllegalArgumentException(name + " is " + pollHz + ", must be 1 to " + MAX_POLL_HZ);
    }
  }

  /**
   * The real devices of this machine: GPUs at 20 Hz, CPUs at 10 Hz. The RAPL zones are those in
   * {@code /zeus_sys/class/powercap/intel-rapl}, where a container has the host's {@code /sys},
   * else in {@code /sys/class/powercap/intel-rapl}.
   *
   * @return a configuration, to be changed by its {@code with} methods
   */
  public static NodeConfig defaults() {
    return new NodeConfig(
        GpuBackend.AUTO,
        20,
        Optional.empty(),
        CpuBackend.RAPL,
        10,
        USUAL_RAPL_DIRS,
        Optional.empty(),
        Baseline.none(),
        GpuCommands.none(),
        USUAL_HWMON_DIRS,
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Runtime.getRuntime().availableProcessors());
  }

  /**
   * {@return a configuration with simulated devices, at the same rates} It needs no hardware and no
   * privilege.
   */
  public static NodeConfig simulated() {
    return defaults().withGpuBackend(GpuBackend.SIMULATED).withCpuBackend(CpuBackend.SIMULATED);
  }

  /** The same, to be changed. */
  private final class Copy {
    GpuBackend gpuBackend = NodeConfig.this.gpuBackend;
    int gpuPowerPollHz = NodeConfig.this.gpuPowerPollHz;
    Optional<Duration> gpuIdleRelease = NodeConfig.this.gpuIdleRelease;
    CpuBackend cpuBackend = NodeConfig.this.cpuBackend;
    int cpuPowerPollHz = NodeConfig.this.cpuPowerPollHz;
    List<Path> raplDirs = NodeConfig.this.raplDirs;
    Optional<Path> stateDir = NodeConfig.this.stateDir;
    Baseline baseline = NodeConfig.this.baseline;
    GpuCommands gpuCommands = NodeConfig.this.gpuCommands;
    List<Path> hwmonDirs = NodeConfig.this.hwmonDirs;
    Optional<Duration> gpuPowerHistory = NodeConfig.this.gpuPowerHistory;
    Optional<Duration> cpuPowerHistory = NodeConfig.this.cpuPowerHistory;
    Optional<Path> driverDir = NodeConfig.this.driverDir;
    int carriers = NodeConfig.this.carriers;
  }

  private NodeConfig with(Consumer<Copy> change) {
    Copy copy = new Copy();
    change.accept(copy);
    return new NodeConfig(
        copy.gpuBackend,
        copy.gpuPowerPollHz,
        copy.gpuIdleRelease,
        copy.cpuBackend,
        copy.cpuPowerPollHz,
        copy.raplDirs,
        copy.stateDir,
        copy.baseline,
        copy.gpuCommands,
        copy.hwmonDirs,
        copy.gpuPowerHistory,
        copy.cpuPowerHistory,
        copy.driverDir,
        copy.carriers);
  }

  /**
   * {@return the same with another source of GPUs}
   *
   * @param backend where they come from
   */
  public NodeConfig withGpuBackend(GpuBackend backend) {
    return with(copy -> copy.gpuBackend = backend);
  }

  /**
   * {@return the same with another rate for GPUs}
   *
   * @param pollHz how often the power of a GPU is read while somebody wants it, in Hz
   */
  public NodeConfig withGpuPowerPollHz(int pollHz) {
    return with(copy -> copy.gpuPowerPollHz = pollHz);
  }

  /**
   * {@return the same, letting go of the GPUs' driver after a time without a call}
   *
   * @param idle a second or more
   */
  public NodeConfig withGpuIdleRelease(Duration idle) {
    return with(copy -> copy.gpuIdleRelease = Optional.of(idle));
  }

  /**
   * {@return the same with another source of CPUs}
   *
   * @param backend where they come from
   */
  public NodeConfig withCpuBackend(CpuBackend backend) {
    return with(copy -> copy.cpuBackend = backend);
  }

  /**
   * {@return the same with another rate for CPUs}
   *
   * @param pollHz how often the power of a CPU is read while somebody wants it, in Hz
   */
  public NodeConfig withCpuPowerPollHz(int pollHz) {
    return with(copy -> copy.cpuPowerPollHz = pollHz);
  }

  /**
   * {@return the same with one directory only that may hold RAPL zones}
   *
   * @param dir the directory, such as {@code /sys/class/powercap/intel-rapl}
   */
  public NodeConfig withRaplDir(Path dir) {
    return with(copy -> copy.raplDirs = List.of(dir));
  }

  /**
   * {@return the same with a directory for what must outlive the process}
   *
   * @param dir the directory; it is made if need be, and belongs to one process at a time
   */
  public NodeConfig withStateDir(Path dir) {
    return with(copy -> copy.stateDir = Optional.of(dir));
  }

  /**
   * {@return the same with commands that do some operations on GPUs}
   *
   * @param commands the commands
   */
  public NodeConfig withGpuCommands(GpuCommands commands) {
    return with(copy -> copy.gpuCommands = commands);
  }

  /**
   * {@return the same with one directory only that may hold the kernel's sensors}
   *
   * @param dir the directory, such as {@code /sys/class/hwmon}
   */
  public NodeConfig withHwmonDir(Path dir) {
    return with(copy -> copy.hwmonDirs = List.of(dir));
  }

  /**
   * {@return the same, keeping the power of GPUs}
   *
   * @param length for how long, a second to 14 days
   */
  public NodeConfig withGpuPowerHistory(Duration length) {
    return with(copy -> copy.gpuPowerHistory = Optional.of(length));
  }

  /**
   * {@return the same, keeping the power of CPUs}
   *
   * @param length for how long, a second to 14 days
   */
  public NodeConfig withCpuPowerHistory(Duration length) {
    return with(copy -> copy.cpuPowerHistory = Optional.of(length));
  }

  /**
   * {@return the same with one directory only that holds GPU drivers' libraries}
   *
   * @param dir the directory
   */
  public NodeConfig withDriverDir(Path dir) {
    return with(copy -> copy.driverDir = Optional.of(dir));
  }

  /**
   * {@return the same with so many carriers of virtual threads}
   *
   * @param count how many threads carry virtual ones in this process
   */
  public NodeConfig withCarriers(int count) {
    return with(copy -> copy.carriers = count);
  }

  /**
   * {@return whether a zone in {@link #raplDirs} has a counter, or {@link #hwmonDirs} a sensor of a
   * CPU, that this process may read}
   */
  public boolean hasReadableCpuCounter() {
    return RaplCpus.hasReadableCounter(raplDirs) || HwmonCpus.hasReadableSensor(hwmonDirs);
  }

  /**
   * {@return the same with other settings of GPUs that leases go back to}
   *
   * @param settings what is set while nobody has a lease
   */
  public NodeConfig withBaseline(Baseline settings) {
    return with(copy -> copy.baseline = settings);
  }
}
