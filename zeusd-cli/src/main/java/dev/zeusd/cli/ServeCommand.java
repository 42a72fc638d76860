package dev.zeusd.cli;

import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.Listen;
import dev.zeusd.server.ServerConfig;
import dev.zeusd.server.StreamFormat;
import dev.zeusd.server.WebAccess;
import dev.zeusd.server.ZeusdServer;
import dev.zeusd.server.auth.Tokens;
import io.helidon.service.registry.GlobalServiceRegistry;
import io.helidon.service.registry.ServiceRegistryConfig;
import io.helidon.service.registry.ServiceRegistryManager;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code zeusd serve}: options into a node and a server. */
@Command(
    name = "serve",
    description = "Start the Zeus daemon",
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class,
    sortOptions = false)
final class ServeCommand implements Callable<Integer> {
  private static final System.Logger LOG = System.getLogger("dev.zeusd");
  private static final long SMALL_HEAP_BYTES = 24 << 20;
  private static final int LOOK_AGAIN_MINUTES = 5;

  /** Values of {@code --mode}. */
  enum Mode {
    UDS,
    TCP
  }

  /** Values of {@code --restore-on}. */
  enum RestoreOn {
    LEASE_END,
    PROCESS_EXIT
  }

  @Spec private CommandSpec spec;

  @Option(
      names = "--mode",
      paramLabel = "<MODE>",
      defaultValue = "uds",
      converter = Converters.Mode.class,
      description = "Listen on a Unix socket (uds) or on TCP (tcp) [default: ${DEFAULT-VALUE}]")
  private Mode mode;

  @Option(
      names = "--socket-path",
      paramLabel = "<PATH>",
      converter = Converters.SocketPath.class,
      defaultValue = "/var/run/zeusd.sock",
      description = "[uds] Path of the socket [default: ${DEFAULT-VALUE}]")
  private Path socketPath;

  @Option(
      names = "--socket-permissions",
      paramLabel = "<OCTAL>",
      defaultValue = "666",
      converter = Converters.Octal.class,
      description = "[uds] Permissions of the socket file, in octal [default: ${DEFAULT-VALUE}]")
  private int socketPermissions;

  @Option(
      names = "--socket-uid",
      paramLabel = "<UID>",
      converter = Converters.OwnerId.class,
      description = "[uds] Owner of the socket file [default: the daemon's]")
  private Integer socketUid;

  @Option(
      names = "--socket-gid",
      paramLabel = "<GID>",
      converter = Converters.OwnerId.class,
      description = "[uds] Group of the socket file [default: the daemon's]")
  private Integer socketGid;

  @Option(
      names = "--tcp-bind-address",
      paramLabel = "<HOST:PORT>",
      defaultValue = "127.0.0.1:4938",
      converter = Converters.BindAddress.class,
      description =
          "[tcp] Address to listen at, an IPv6 one as [::1]:4938 [default: ${DEFAULT-VALUE}]")
  private Converters.HostAndPort tcpBindAddress;

  @Option(
      names = "--allowed-host",
      paramLabel = "<NAME>[,<NAME>...]",
      converter = Converters.HostNames.class,
      description =
          "[tcp] Names that clients may call this daemon by, beside localhost and IP addresses;"
              + " any with --signing-key-path")
  private List<String> allowedHosts = List.of();

  @Option(
      names = "--allowed-origin",
      paramLabel = "<ORIGIN>[,<ORIGIN>...]",
      converter = Converters.Origins.class,
      description =
          "Origins of web pages that may use this daemon, such as https://dashboard.example:3000"
              + " [default: only its own]")
  private List<String> allowedOrigins = List.of();

  @Option(
      names = "--num-workers",
      paramLabel = "<N>",
      converter = Converters.Workers.class,
      description = "How many requests are worked on at once [default: number of logical CPUs]")
  private Integer numWorkers;

  @Option(
      names = "--gpu-power-poll-hz",
      paramLabel = "<HZ>",
      defaultValue = "20",
      converter = Converters.PollHz.class,
      description =
          "How often GPU power is read while somebody streams it, 1 to 1000"
              + " [default: ${DEFAULT-VALUE}]")
  private int gpuPowerPollHz;

  @Option(
      names = "--cpu-power-poll-hz",
      paramLabel = "<HZ>",
      defaultValue = "10",
      converter = Converters.PollHz.class,
      description =
          "How often CPU power is read while somebody streams it, 1 to 1000"
              + " [default: ${DEFAULT-VALUE}]")
  private int cpuPowerPollHz;

  @Option(
      names = "--enable",
      paramLabel = "<GROUP>[,<GROUP>...]",
      defaultValue = "gpu-control,gpu-read,cpu-read",
      converter = Converters.Groups.class,
      description = {
        "API groups to enable, comma-separated or repeated [default: ${DEFAULT-VALUE}]",
        // Two spaces before a text: its lines stay below each other.
        "  gpu-control:  set power limit, clocks, persistence mode; needs root or CAP_SYS_ADMIN",
        "  gpu-read:     power and energy of GPUs",
        "  cpu-read:     power and energy of CPUs (RAPL); needs root, CAP_DAC_READ_SEARCH or"
            + " readable counters"
      })
  private List<ApiGroup> enable;

  @Option(
      names = "--signing-key-path",
      paramLabel = "<PATH>",
      converter = Converters.FilePath.class,
      description =
          "Path of the HMAC-SHA256 signing key; requests then need a token"
              + " [default: no authentication]")
  private Path signingKeyPath;

  @Option(
      names = "--gpu-backend",
      paramLabel = "<BACKEND>",
      defaultValue = "auto",
      converter = Converters.Backend.class,
      description = {
        "Where GPUs come from: auto, nvml, simulated [default: ${DEFAULT-VALUE}]",
        "  auto: NVML if it loads and reports GPUs, else no GPUs"
      })
  private GpuBackend gpuBackend;

  @Option(
      names = "--gpu-idle-release",
      paramLabel = "<DURATION>",
      defaultValue = "never",
      converter = DurationOrNever.Converter.class,
      description =
          "Let go of the GPUs' driver when nobody has asked for them for so long, such as 10m; the"
              + " driver may then forget power limits [default: ${DEFAULT-VALUE}]")
  private DurationOrNever gpuIdleRelease;

  @Option(
      names = "--stream-format",
      paramLabel = "<FORMAT>",
      defaultValue = "sample",
      converter = Converters.Format.class,
      description =
          "Dialect of power streams: sample (Zeus 0.16 and later) or snapshot (Zeus 0.14, 0.15)"
              + " [default: ${DEFAULT-VALUE}]")
  private StreamFormat streamFormat;

  @Option(
      names = "--rapl-dir",
      paramLabel = "<DIR>",
      converter = Converters.FilePath.class,
      description =
          "Where the RAPL zones are [default: /zeus_sys/class/powercap/intel-rapl if it exists,"
              + " else /sys/class/powercap/intel-rapl]")
  private Path raplDir;

  @Option(
      names = "--state-dir",
      paramLabel = "<DIR>",
      defaultValue = "/var/lib/zeusd",
      converter = Converters.FilePath.class,
      description =
          "Where is kept what must outlive the daemon, made if need be [default: ${DEFAULT-VALUE}]")
  private Path stateDir;

  @Option(
      names = "--restore-on",
      paramLabel = "<WHEN>",
      defaultValue = "lease-end",
      converter = Converters.RestoreOn.class,
      description = {
        "When settings of GPUs go back to what they were [default: ${DEFAULT-VALUE}]",
        "  lease-end:     those that a lease has changed, when it ends",
        "  process-exit:  [uds] also those that a process has changed without a lease, when it ends"
      })
  private RestoreOn restoreOn;

  @Option(
      names = "--simulate",
      description = "Simulated devices instead of real ones; needs neither hardware nor root")
  private boolean simulate;

  @Option(
      names = "--log-level",
      paramLabel = "<LEVEL>",
      defaultValue = "info",
      converter = Converters.LogLevel.class,
      description = "error, warn, info or debug [default: ${DEFAULT-VALUE}]")
  private Logging.LogLevel logLevel;

  @Override
  public Integer call() throws InterruptedException, IOException {
    Logging.setUp(logLevel);
    if (restoreOn == RestoreOn.PROCESS_EXIT && mode == Mode.TCP) {
      throw new ParameterException(
          spec.commandLine(),
          "--restore-on process-exit needs --mode uds: nobody knows the processes at the other end"
              + " of TCP");
    }
    Set<ApiGroup> groups = EnumSet.copyOf(enable);
    NodeConfig nodeConfig = nodeConfig(groups);
    if (!simulate) {
      Privileges.own().require(groups, nodeConfig);
    }
    if (numWorkers != null) {
      // The only way to size it, and only before the first virtual thread.
      System.setProperty("jdk.virtualThreadScheduler.parallelism", numWorkers.toString());
    }
    withoutServiceDiscovery();
    Listen listen = listen();
    Thread.ofPlatform().daemon().name("prepare").start(() -> prepare(listen));
    ServerConfig serverConfig = serverConfig(listen, groups);
    Node opened = openNode(nodeConfig);
    Node node = Lifetime.open(() -> opened, Node::close);
    try {
      ZeusdServer server =
          Lifetime.open(() -> ZeusdServer.start(node, serverConfig), ZeusdServer::close);
      LOG.log(System.Logger.Level.INFO, "listening at {0}, {1}", where(server), names(groups));
    } catch (RuntimeException e) {
      Lifetime.closeAll();
      throw e;
    }
    if (mode == Mode.TCP && signingKeyPath == null) {
      LOG.log(
          System.Logger.Level.WARNING,
          "TCP without authentication: everybody who can reach this address can use it;"
              + " --signing-key-path makes tokens necessary");
    }
    keepHeapSmall();
    return 0;
  }

  /**
   * For ever. What a busy moment has promoted to the old generation is garbage soon, but the serial
   * collector looks for it only when the heap has reached its limit, and gives memory back only
   * then. A collection takes 12 ms, and 70 with 2000 streams.
   */
  private static void keepHeapSmall() throws InterruptedException {
    long keptBytes = 0;
    for (int minute = 1; true; minute++) {
      Thread.sleep(Duration.ofMinutes(1));
      long bytes = Runtime.getRuntime().totalMemory();
      boolean hasGrown = bytes > keptBytes + keptBytes / 2;
      if (bytes > SMALL_HEAP_BYTES && (hasGrown || minute % LOOK_AGAIN_MINUTES == 0)) {
        System.gc();
        keptBytes = Runtime.getRuntime().totalMemory();
      }
    }
  }

  /** What can be done beside the rest of the start. */
  private static void prepare(Listen listen) {
    ZeusdServer.prepare(listen);
    Lifetime.surviveHangUp();
  }

  /**
   * Keeps Helidon from looking through all jars for services that might be there: this program uses
   * none, and starts faster by a fifth.
   */
  private static void withoutServiceDiscovery() {
    GlobalServiceRegistry.registry(
        ServiceRegistryManager.create(
                ServiceRegistryConfig.builder()
                    .discoverServices(false)
                    .discoverServicesFromServiceLoader(false)
                    .build())
            .registry());
  }

  /** Under a service manager, a driver that was upgraded is a reason to be started anew. */
  private static Node openNode(NodeConfig config) {
    return ServiceManager.watches(System.getenv(), ProcessHandle.current().pid())
        ? Node.open(config, () -> Lifetime.endWith(CommandLine.ExitCode.SOFTWARE))
        : Node.open(config);
  }

  private Listen listen() {
    return switch (mode) {
      case TCP -> new Listen.Tcp(resolve(tcpBindAddress));
      case UDS ->
          new Listen.UnixSocket(
              socketPath, socketPermissions, optional(socketUid), optional(socketGid));
    };
  }

  private static InetSocketAddress resolve(Converters.HostAndPort address) {
    InetSocketAddress resolved = new InetSocketAddress(address.host(), address.port());
    if (resolved.isUnresolved()) {
      throw new StartupException(
          "the host "
              + address.host()
              + " of --tcp-bind-address cannot be found; check the name and this machine's name"
              + " service, or give an IP address");
    }
    return resolved;
  }

  private static OptionalInt optional(Integer value) {
    return value == null ? OptionalInt.empty() : OptionalInt.of(value);
  }

  private NodeConfig nodeConfig(Set<ApiGroup> groups) {
    boolean gpus = groups.contains(ApiGroup.GPU_READ) || groups.contains(ApiGroup.GPU_CONTROL);
    boolean cpus = groups.contains(ApiGroup.CPU_READ);
    GpuBackend backend = simulate ? GpuBackend.SIMULATED : gpuBackend;
    CpuBackend cpuBackend = simulate ? CpuBackend.SIMULATED : CpuBackend.RAPL;
    NodeConfig config =
        gpuIdleRelease
            .duration()
            .map(NodeConfig.defaults()::withGpuIdleRelease)
            .orElse(NodeConfig.defaults());
    return (raplDir == null ? config : config.withRaplDir(raplDir))
        .withGpuBackend(gpus ? backend : GpuBackend.NONE)
        .withGpuPowerPollHz(gpuPowerPollHz)
        .withCpuBackend(cpus ? cpuBackend : CpuBackend.NONE)
        .withCpuPowerPollHz(cpuPowerPollHz)
        .withStateDir(stateDir);
  }

  private ServerConfig serverConfig(Listen listen, Set<ApiGroup> groups) {
    ServerConfig config =
        new ServerConfig(
                listen,
                groups,
                streamFormat,
                Optional.ofNullable(signingKeyPath).map(Tokens::withKeyFile))
            .withWeb(new WebAccess(Set.copyOf(allowedHosts), Set.copyOf(allowedOrigins)));
    return restoreOn == RestoreOn.PROCESS_EXIT ? config.withRestoreOnProcessExit() : config;
  }

  private String where(ZeusdServer server) {
    return mode == Mode.UDS
        ? socketPath.toString()
        : tcpBindAddress.bracketedHost() + ":" + server.port();
  }

  private static String names(Set<ApiGroup> groups) {
    return groups.stream().map(ApiGroup::wireName).collect(Collectors.joining(", "));
  }
}
