package dev.zeusd.server;

import dev.zeusd.core.Node;
import dev.zeusd.core.settings.ClientProcess;
import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.Umask;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.connection.ConnectionRegistry;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.http.Access;
import dev.zeusd.server.http.CpuReadService;
import dev.zeusd.server.http.DiscoveryService;
import dev.zeusd.server.http.EnergyService;
import dev.zeusd.server.http.ErrorMapper;
import dev.zeusd.server.http.GpuControlService;
import dev.zeusd.server.http.GpuReadService;
import dev.zeusd.server.http.HttpSelector;
import dev.zeusd.server.http.LeaseService;
import dev.zeusd.server.http.MetricsService;
import dev.zeusd.server.http.RequestFilter;
import dev.zeusd.server.http.Routes;
import dev.zeusd.server.http.SettingRights;
import dev.zeusd.server.http.WebPages;
import dev.zeusd.server.metrics.Metrics;
import dev.zeusd.server.stream.PowerStreams;
import io.helidon.webserver.ErrorHandling;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.WebServerConfig;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http1.Http1Config;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.SortedMap;

/**
 * The HTTP server for one {@link Node}, which it does not own.
 *
 * <p>Thread-safe. Requests run on virtual threads.
 */
public final class ZeusdServer implements AutoCloseable {
  private static final Duration SHUTDOWN_GRACE = Duration.ofMillis(150);

  private final WebServer server;
  private final Routes routes;
  private final PowerStreams streams;
  private final LeaseService leases;
  private final ConnectionRegistry registry;
  private final Access access;

  /** Stops {@link #server}. */
  private Runnable stop;

  private ZeusdServer(
      WebServer server,
      Routes routes,
      PowerStreams streams,
      LeaseService leases,
      ConnectionRegistry registry,
      Access access) {
    this.access = access;
    this.server = server;
    this.routes = routes;
    this.streams = streams;
    this.leases = leases;
    this.registry = registry;
    this.stop = server::stop;
  }

  /**
   * Loads what every server needs, which takes most of the time of a first {@link #start}. It need
   * not be called; a program in a hurry does while its node is opened.
   */
  public static void prepare(Listen listen) {
    if (listen instanceof Listen.UnixSocket) {
      Umask.link();
    }
    builder().addRouting(HttpRouting.builder()).build();
  }

  /**
   * Starts listening; returns when clients can connect.
   *
   * @throws ServerStartException if it cannot listen where {@code config} says
   */
  public static ZeusdServer start(Node node, ServerConfig config) {
    if (config.restoresOnProcessExit()) {
      requireKnownProcesses();
    }
    return switch (config.listen()) {
      case Listen.Tcp tcp -> {
        tryToBind(tcp);
        ZeusdServer server = build(node, config, tcp.address());
        server.listen(tcp.toString(), "--tcp-bind-address");
        yield server;
      }
      case Listen.UnixSocket unix -> {
        ZeusdServer server = build(node, config, UnixDomainSocketAddress.of(unix.path()));
        server.stop =
            UnixSocketFile.bind(
                    unix,
                    () -> server.listen(unix.path().toString(), "--socket-path"),
                    server.server::stop,
                    server.registry::closeAll)
                ::close;
        yield server;
      }
    };
  }

  private static void requireKnownProcesses() {
    Optional<String> problem = ClientProcess.whyUnknown();
    if (problem.isPresent()) {
      throw new ServerStartException(
          "--restore-on process-exit cannot be done here: " + problem.get());
    }
  }

  /**
   * Helidon only logs that it cannot bind, so this finds out first, and why. It does not listen: a
   * client that came in this moment would be thrown out.
   */
  private static void tryToBind(Listen.Tcp tcp) {
    try (SocketChannel channel = SocketChannel.open()) {
      // As for a socket that listens: earlier connections that linger do not matter.
      channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      channel.bind(tcp.address());
    } catch (IOException e) {
      throw cannotListen(tcp.toString(), e, "--tcp-bind-address");
    }
  }

  private static ServerStartException cannotListen(String where, Exception e, String option) {
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    String why =
        switch (String.valueOf(root.getMessage())) {
          case "Cannot assign requested address" -> "this machine does not have that address";
          case "Permission denied" ->
              "permission denied"
                  + (option.equals("--tcp-bind-address") ? " (ports below 1024 need root)" : "");
          default -> root instanceof IOException io ? FileFacts.reason(io) : "the log says why";
        };
    return new ServerStartException(
        "cannot listen at " + where + ": " + why + "; choose another " + option, e);
  }

  private static ZeusdServer build(Node node, ServerConfig config, SocketAddress address) {
    Limits limits = config.limits().withinMeans();
    Shares shares = new Shares(limits, config.tokens().isPresent());
    ConnectionRegistry registry = new ConnectionRegistry(limits, shares);
    PowerStreams streams = new PowerStreams(node, config.streamFormat(), shares);
    Access.Rules rules = new Access.Rules(config.tokens(), config.policy());
    Access access = new Access(rules, registry, shares);
    boolean isOpenToBrowsers = config.listen() instanceof Listen.Tcp && config.tokens().isEmpty();
    WebPages webPages = new WebPages(config.web(), isOpenToBrowsers);
    Routes routes =
        new Routes(config.groups(), access, new RequestFilter(registry, access), webPages);
    new DiscoveryService(node, config.groups(), access).addTo(routes);
    new GpuReadService(node).addTo(routes);
    SettingRights rights = new SettingRights(config.restoresOnProcessExit());
    new GpuControlService(node, shares, rights).addTo(routes);
    LeaseService leases = new LeaseService(node, shares, limits.leaseStreams());
    leases.addTo(routes);
    boolean hasLeases = config.groups().contains(ApiGroup.GPU_CONTROL);
    if (hasLeases) {
      // What an earlier daemon has left is put back, whether anybody asks or not.
      node.leases();
    }
    new CpuReadService(node).addTo(routes);
    new EnergyService(node).addTo(routes);
    // What an earlier daemon was measuring goes on, whether anybody asks or not.
    node.resumeEnergyWindows();
    streams.addTo(routes);
    Metrics metrics = new Metrics(node, routes.requests(), shares::openStreams, hasLeases);
    new MetricsService(metrics).addTo(routes);
    WebServer server =
        builder()
            .bindAddress(address)
            // As many as the kernel lets wait, so that a crowd does not fill it.
            .backlog(limits.connections())
            .connectionOptions(registry.socketOptions())
            // Those that made room for others take a moment to end.
            .maxTcpConnections(limits.connections() + limits.connections() / 8 + 8)
            .addRouting(routes.finish())
            .build();
    return new ZeusdServer(server, routes, streams, leases, registry, access);
  }

  private void listen(String where, String option) {
    try {
      server.start();
    } catch (RuntimeException e) {
      throw cannotListen(where, e, option);
    }
    if (!server.isRunning()) {
      throw new ServerStartException("cannot listen at " + where + ": the log says why");
    }
  }

  private static WebServerConfig.Builder builder() {
    return WebServer.builder()
        // The discovered one, as well, would make a second candidate for each connection.
        .protocolsDiscoverServices(false)
        .addConnectionSelector(
            new HttpSelector(
                Http1Config.builder()
                    .maxPrologueLength(Limits.REQUEST_LINE_BYTES)
                    .maxHeadersSize(Limits.HEADER_BYTES)
                    .build()))
        // ConnectionRegistry does what this would do, and more; it would wake an idle daemon.
        .idleConnectionPeriod(Duration.ofDays(365))
        .directHandlers(ErrorMapper.directHandlers())
        // Otherwise the direct handlers get no message.
        .errorHandling(ErrorHandling.builder().includeEntity(true).build())
        // Nothing here takes a body.
        .maxPayloadSize(0)
        .shutdownHook(false)
        .shutdownGracePeriod(SHUTDOWN_GRACE);
  }

  /**
   * Has other tokens and grants from now on. Requests that are under way go on by the earlier ones;
   * streams that would not be allowed by these end.
   *
   * @return how many these are
   * @throws IllegalArgumentException if tokens would be needed that were not before, or the other
   *     way round
   */
  public int replaceAccess(Optional<Tokens> tokens, Policy policy) {
    return access.replace(new Access.Rules(tokens, policy));
  }

  /** The TCP port it listens at; -1 for a Unix socket. */
  public int port() {
    return server.port();
  }

  /** The method of each path that it answers, but for HEAD and OPTIONS. */
  SortedMap<String, String> endpoints() {
    return routes.methods();
  }

  /** Ends all streams and connections and removes the socket file. Idempotent. */
  @Override
  public void close() {
    streams.close();
    leases.close();
    stop.run();
    registry.stopWatch();
  }
}
