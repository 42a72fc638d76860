package dev.zeusd.cli;

import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.server.ApiGroup;
import java.nio.file.Path;
import java.util.Set;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Options of {@code zeusd serve}: which devices, and how they are read. */
final class DeviceOptions {
  @Option(
      names = "--gpu-power-poll-hz",
      paramLabel = "<HZ>",
      defaultValue = "20",
      converter = Converters.PollHz.class,
      description =
          "Readings a second of GPU power while a client streams it, 1 to 1000"
              + " [default: ${DEFAULT-VALUE}]")
  private int gpuPowerPollHz;

  @Option(
      names = "--cpu-power-poll-hz",
      paramLabel = "<HZ>",
      defaultValue = "10",
      converter = Converters.PollHz.class,
      description =
          "Readings a second of CPU power while a client streams it, 1 to 1000"
              + " [default: ${DEFAULT-VALUE}]")
  private int cpuPowerPollHz;

  @Option(
      names = "--history",
      paramLabel = "<DURATION>",
      defaultValue = "never",
      converter = DurationOrNever.OfHistory.class,
      description =
          "Keep the power of all devices for this long, such as 1h, at most 14d; they are then"
              + " read all the time [default: ${DEFAULT-VALUE}]")
  private DurationOrNever history;

  @Option(
      names = "--gpu-backend",
      paramLabel = "<BACKEND>",
      defaultValue = "auto",
      converter = Converters.Backend.class,
      description = {
        "How GPUs are found: auto, nvml, amdsmi, simulated, simulated-mig"
            + " [default: ${DEFAULT-VALUE}]",
        "  auto: all GPUs: NVIDIA's by NVML, AMD's by AMD SMI, Intel's by hwmon",
        "  simulated-mig: simulated, the last one partitioned (MIG); also with --simulate"
      })
  private GpuBackend gpuBackend;

  @Option(
      names = "--gpu-idle-release",
      paramLabel = "<DURATION>",
      defaultValue = "never",
      converter = DurationOrNever.Converter.class,
      description =
          "Close the GPUs' driver when no client has asked for GPUs for this long, such as 10m;"
              + " the driver may then forget power limits [default: ${DEFAULT-VALUE}]")
  private DurationOrNever gpuIdleRelease;

  @Option(
      names = "--gpu-command-overrides",
      paramLabel = "<FILE>",
      converter = Converters.FilePath.class,
      description =
          "File (TOML) with commands that change settings of GPUs instead of the driver, so that"
              + " gpu-control needs no privilege. The same as [gpu-command-overrides.*] in"
              + " --config")
  private Path commandsFile;

  @Option(
      names = "--hwmon-dir",
      paramLabel = "<DIR>",
      converter = Converters.FilePath.class,
      description =
          "Directory of the kernel's sensors, by which CPUs without RAPL and Intel GPUs are read"
              + " [default: /zeus_sys/class/hwmon if it has any, else /sys/class/hwmon]")
  private Path hwmonDir;

  @Option(
      names = "--rapl-dir",
      paramLabel = "<DIR>",
      converter = Converters.FilePath.class,
      description =
          "Directory of the RAPL zones [default: /zeus_sys/class/powercap/intel-rapl if it exists,"
              + " else /sys/class/powercap/intel-rapl]")
  private Path raplDir;

  @Option(
      names = "--state-dir",
      paramLabel = "<DIR>",
      defaultValue = "/var/lib/zeusd",
      converter = Converters.FilePath.class,
      description =
          "Directory for what is kept over a restart; created if it is missing [default:"
              + " ${DEFAULT-VALUE}]")
  private Path stateDir;

  @Option(
      names = "--simulate",
      description = "Simulated devices instead of real ones; needs neither hardware nor root")
  private boolean simulate;

  boolean isSimulated() {
    return simulate;
  }

  /**
   * Refuses options that have no effect together.
   *
   * @throws ParameterException naming them
   */
  void requireSense(CommandLine command, Set<ApiGroup> groups) {
    if (history.duration().isEmpty()) {
      return;
    }
    if (!groups.contains(ApiGroup.GPU_READ) && !groups.contains(ApiGroup.CPU_READ)) {
      throw new ParameterException(
          command, "--history has no effect without gpu-read or cpu-read in --enable");
    }
    if (gpuIdleRelease.duration().isPresent() && groups.contains(ApiGroup.GPU_READ)) {
      throw new ParameterException(
          command,
          "--gpu-idle-release has no effect with --history, which reads GPUs all the time");
    }
  }

  /**
   * What these groups need.
   *
   * @param commands what changes settings of GPUs in the driver's place
   */
  NodeConfig nodeConfig(Set<ApiGroup> groups, GpuCommands commands) {
    boolean gpus = groups.contains(ApiGroup.GPU_READ) || groups.contains(ApiGroup.GPU_CONTROL);
    boolean cpus = groups.contains(ApiGroup.CPU_READ);
    GpuBackend backend =
        simulate && gpuBackend != GpuBackend.SIMULATED_MIG ? GpuBackend.SIMULATED : gpuBackend;
    CpuBackend cpuBackend = simulate ? CpuBackend.SIMULATED : CpuBackend.RAPL;
    NodeConfig config =
        gpuIdleRelease
            .duration()
            .map(NodeConfig.defaults()::withGpuIdleRelease)
            .orElse(NodeConfig.defaults());
    if (groups.contains(ApiGroup.GPU_READ) && history.duration().isPresent()) {
      config = config.withGpuPowerHistory(history.duration().get());
    }
    if (cpus && history.duration().isPresent()) {
      config = config.withCpuPowerHistory(history.duration().get());
    }
    config = raplDir == null ? config : config.withRaplDir(raplDir);
    return (hwmonDir == null ? config : config.withHwmonDir(hwmonDir))
        .withGpuCommands(commands)
        .withGpuBackend(gpus ? backend : GpuBackend.NONE)
        .withGpuPowerPollHz(gpuPowerPollHz)
        .withCpuBackend(cpus ? cpuBackend : CpuBackend.NONE)
        .withCpuPowerPollHz(cpuPowerPollHz)
        .withStateDir(stateDir);
  }

  /**
   * What changes settings of GPUs in the driver's place; nothing, if none may be changed.
   *
   * @param configured in the configuration file, which a file of its own outdoes
   * @throws StartupException if such a file cannot be read
   * @throws ConfigException if it makes no sense
   */
  GpuCommands commands(Set<ApiGroup> groups, GpuCommands configured) {
    if (!groups.contains(ApiGroup.GPU_CONTROL)) {
      return GpuCommands.none();
    }
    GpuCommands commands = commandsFile == null ? configured : CommandsReader.read(commandsFile);
    if (!commands.isEmpty() && !GpuCommands.canRun()) {
      throw new StartupException(
          "commands for GPUs cannot be run: there is no /usr/bin/setsid, which lets them be ended;"
              + " install util-linux");
    }
    return commands;
  }
}
