package dev.zeusd.cli;

import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.core.settings.Baseline;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.Limits;
import dev.zeusd.server.Listen;
import dev.zeusd.server.ServerConfig;
import dev.zeusd.server.StreamFormat;
import dev.zeusd.server.ZeusdServer;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.tls.TlsCredentials;
import dev.zeusd.server.tls.TlsFiles;
import io.helidon.service.registry.GlobalServiceRegistry;
import io.helidon.service.registry.ServiceRegistryConfig;
import io.helidon.service.registry.ServiceRegistryManager;
import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code zeusd serve}: options into a node and a server. */
@Command(
    name = "serve",
    description = "Start the daemon",
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class,
    sortOptions = false)
final class ServeCommand implements Callable<Integer> {
  private static final System.Logger LOG = System.getLogger("dev.zeusd");

  /** Values of {@code --restore-on}. */
  enum RestoreOn {
    LEASE_END,
    PROCESS_EXIT
  }

  @Spec private CommandSpec spec;

  @Option(
      names = "--config",
      paramLabel = "<FILE>",
      converter = Converters.FilePath.class,
      description =
          "File (TOML) with options, and with who may do what. The command line overrides it."
              + " Read again at SIGHUP. To check it: zeusd config check")
  private Path config;

  /** What {@code --config} says, once it has been read. */
  private Optional<ConfigFile> file = Optional.empty();

  @Mixin private ListenOptions listening;

  @Option(
      names = "--num-workers",
      paramLabel = "<N>",
      converter = Converters.Workers.class,
      description =
          "How many requests are computed at the same moment [default: number of logical CPUs]")
  private Integer numWorkers;

  @Mixin private DeviceOptions devices;

  @Option(
      names = "--enable",
      paramLabel = "<GROUP>[,<GROUP>...]",
      defaultValue = "gpu-control,gpu-read,cpu-read",
      converter = Converters.Groups.class,
      description = {
        "API groups to enable, comma-separated or repeated [default: ${DEFAULT-VALUE}]",
        // Two spaces before a text: its lines stay below each other.
        "  gpu-control:  set power limit, clocks, persistence mode; needs root, CAP_SYS_ADMIN"
            + " (NVIDIA) or --gpu-command-overrides",
        "  gpu-read:     power and energy of GPUs",
        "  cpu-read:     power and energy of CPUs; RAPL needs root, CAP_DAC_READ_SEARCH or readable"
            + " counters, hwmon needs none of them"
      })
  private List<ApiGroup> enable;

  @Mixin private AccessOptions access;

  @Option(
      names = "--stream-format",
      paramLabel = "<FORMAT>",
      defaultValue = "sample",
      converter = Converters.Format.class,
      description =
          "Format of power streams: sample (Zeus 0.16 and later) or snapshot (Zeus 0.14, 0.15)"
              + " [default: ${DEFAULT-VALUE}]")
  private StreamFormat streamFormat;

  @Option(
      names = "--restore-on",
      paramLabel = "<WHEN>",
      defaultValue = "lease-end",
      converter = Converters.RestoreOn.class,
      description = {
        "When settings of GPUs are put back [default: ${DEFAULT-VALUE}]",
        "  lease-end:     when the lease that has changed them ends",
        "  process-exit:  [uds] also when a process that has changed them without a lease ends"
      })
  private RestoreOn restoreOn;

  @Option(
      names = "--log-level",
      paramLabel = "<LEVEL>",
      defaultValue = "info",
      converter = Converters.LogLevel.class,
      description = "What to log: error, warn, info or debug [default: ${DEFAULT-VALUE}]")
  private Logging.LogLevel logLevel;

  @Override
  public Integer call() throws InterruptedException, IOException {
    Logging.setUp(logLevel);
    readAgain().serve();
    return 0;
  }

  /**
   * The same command line together with its configuration file as it is now; this very object if
   * there is no such file.
   *
   * @throws StartupException if the file cannot be read
   * @throws ConfigException if it makes no sense
   */
  ServeCommand readAgain() {
    if (config == null) {
      return this;
    }
    CommandLine root = spec.root().commandLine();
    CommandLine again = Zeusd.commandLineFor(spec.name());
    again.setErr(root.getErr());
    CommandLine serve = again.getSubcommands().get(spec.name());
    ConfigFile read = ConfigFile.read(config, serve.getCommandSpec());
    if (file.isEmpty() && read.options().isEmpty()) {
      // Nothing in it changes what the command line says.
      file = Optional.of(read);
      return this;
    }
    serve.setDefaultValueProvider(read);
    again.parseArgs(root.getParseResult().originalArgs().toArray(String[]::new));
    ServeCommand configured = serve.getCommand();
    configured.file = Optional.of(read);
    return configured;
  }

  CommandSpec spec() {
    return spec;
  }

  Optional<ConfigFile> file() {
    return file;
  }

  /** Who may do what: by the configuration file, else everybody. */
  Policy policy() {
    return file.map(ConfigFile::policy).orElse(Policy.OPEN);
  }

  /** What the configuration file says of settings. */
  Baseline baseline() {
    return file.map(ConfigFile::baseline).orElse(Baseline.none());
  }

  AccessOptions access() {
    return access;
  }

  /** What tokens are checked with. */
  Optional<Tokens> tokens() {
    return access.tokens();
  }

  /**
   * What TLS is spoken with, if it is.
   *
   * @throws ParameterException if options of TLS are missing, or would have no effect
   */
  Optional<TlsFiles> tlsFiles() {
    return listening.tlsFiles(spec.commandLine());
  }

  /**
   * What changes settings of GPUs in the driver's place.
   *
   * @throws StartupException if its file cannot be read
   * @throws ConfigException if it makes no sense
   */
  GpuCommands commands() {
    return devices.commands(
        EnumSet.copyOf(enable), file.map(ConfigFile::commands).orElse(GpuCommands.none()));
  }

  private void serve() throws InterruptedException, IOException {
    Logging.setUp(logLevel);
    file.ifPresent(
        read -> read.warnings().forEach(what -> LOG.log(System.Logger.Level.WARNING, what)));
    if (restoreOn == RestoreOn.PROCESS_EXIT
        && !listening.modes().contains(ListenOptions.Mode.UDS)) {
      throw new ParameterException(
          spec.commandLine(),
          "--restore-on process-exit needs --mode uds: nobody knows the processes at the other end"
              + " of TCP");
    }
    Optional<TlsCredentials> tls = tlsFiles().map(TlsCredentials::read);
    Set<ApiGroup> groups = EnumSet.copyOf(enable);
    devices.requireSense(spec.commandLine(), groups);
    NodeConfig nodeConfig = devices.nodeConfig(groups, commands()).withBaseline(baseline());
    if (!devices.isSimulated()) {
      Privileges.own().require(groups, nodeConfig);
    }
    if (numWorkers != null) {
      // The only way to size it, and only before the first virtual thread.
      System.setProperty("jdk.virtualThreadScheduler.parallelism", numWorkers.toString());
      nodeConfig = nodeConfig.withCarriers(numWorkers);
    }
    withoutServiceDiscovery();
    List<Listen> listens = listening.listens(tls);
    Thread.ofPlatform().daemon().name("prepare").start(() -> prepare(listens));
    CurrentAuditLog audit =
        Lifetime.open(() -> new CurrentAuditLog(access), CurrentAuditLog::close);
    ServerConfig serverConfig = serverConfig(listens, groups).withAuditLog(audit.log());
    Node opened = openNode(nodeConfig);
    Node node = Lifetime.open(() -> opened, Node::close);
    try {
      ZeusdServer server =
          Lifetime.open(() -> ZeusdServer.start(node, serverConfig), ZeusdServer::close);
      LOG.log(
          System.Logger.Level.INFO,
          "listening at {0}, {1}",
          listening.where(listens, server),
          names(groups));
      Consumer<Baseline> toBaseline =
          groups.contains(ApiGroup.GPU_CONTROL) ? node.leases()::setBaseline : ignored -> {};
      Lifetime.onHangUp(new Reload(this, nodeConfig, serverConfig, server, audit, toBaseline));
      ServiceManager.sayReady(System.getenv());
    } catch (RuntimeException e) {
      Lifetime.closeAll();
      throw e;
    }
    boolean isForAnybody =
        listens.stream()
            .anyMatch(
                listen ->
                    listen instanceof Listen.Tcp tcp
                        && !tcp.tls().map(TlsCredentials::asksClients).orElse(false));
    if (isForAnybody && serverConfig.tokens().isEmpty() && policy().isOpen()) {
      LOG.log(
          System.Logger.Level.WARNING,
          "TCP without authentication: everybody who can reach this address can use it;"
              + " --signing-key-path makes tokens necessary");
    }
    SmallHeap.keep();
  }

  /** What can be done beside the rest of the start. */
  private static void prepare(List<Listen> listens) {
    ZeusdServer.prepare(listens);
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

  private ServerConfig serverConfig(List<Listen> listens, Set<ApiGroup> groups) {
    ServerConfig config =
        new ServerConfig(listens.getFirst(), groups, streamFormat, access.tokens())
            .withListens(listens)
            .withWeb(listening.webAccess())
            .withPolicy(policy())
            .withLimits(file.map(ConfigFile::limits).orElse(Limits.defaults()));
    return restoreOn == RestoreOn.PROCESS_EXIT ? config.withRestoreOnProcessExit() : config;
  }

  private static String names(Set<ApiGroup> groups) {
    return groups.stream().map(ApiGroup::wireName).collect(Collectors.joining(", "));
  }
}
