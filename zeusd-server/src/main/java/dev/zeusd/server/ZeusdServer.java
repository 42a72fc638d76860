package dev.zeusd.server;

import dev.zeusd.core.Node;
import dev.zeusd.server.http.AuthFilter;
import dev.zeusd.server.http.Connections;
import dev.zeusd.server.http.CpuReadService;
import dev.zeusd.server.http.DiscoveryService;
import dev.zeusd.server.http.ErrorMapper;
import dev.zeusd.server.http.GpuControlService;
import dev.zeusd.server.http.GpuReadService;
import dev.zeusd.server.http.HttpSelector;
import dev.zeusd.server.http.PowerStreams;
import dev.zeusd.server.http.Routes;
import dev.zeusd.server.http.WebPages;
import io.helidon.webserver.ErrorHandling;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.WebServerConfig;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http1.Http1Config;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;

/**
 * The HTTP server for one {@link Node}, which it does not own.
 *
 * <p>Thread-safe. Requests run on virtual threads.
 */
public final class ZeusdServer implements AutoCloseable {
  private static final Duration SHUTDOWN_GRACE = Duration.ofMillis(150);

  private final WebServer server;
  private final PowerStreams streams;
  private final AutoCloseable socketFile;

  private ZeusdServer(WebServer server, PowerStreams streams, AutoCloseable socketFile) {
    this.server = server;
    this.streams = streams;
    this.socketFile = socketFile;
  }

  /**
   * Loads what every server needs, which takes most of the time of a first {@link #start}. It need
   * not be called; a program in a hurry does while its node is opened.
   */
  public static void prepare() {
    builder().addRouting(HttpRouting.builder()).build();
  }

  /**
   * Starts listening; returns when clients can connect.
   *
   * @throws ServerStartException if it cannot listen where {@code config} says
   */
  public static ZeusdServer start(Node node, ServerConfig config) {
    return switch (config.listen()) {
      case Listen.Tcp tcp -> startTcp(node, config, tcp);
      case Listen.UnixSocket unix -> startUnix(node, config, unix);
    };
  }

  private static ZeusdServer startTcp(Node node, ServerConfig config, Listen.Tcp tcp) {
    tryToBind(tcp.address());
    return startAt(node, config, tcp.address(), () -> {});
  }

  /**
   * Helidon only logs that it cannot bind, so this finds out first, and why. It does not listen: a
   * client that came in this moment would be thrown out.
   */
  private static void tryToBind(InetSocketAddress address) {
    try (SocketChannel channel = SocketChannel.open()) {
      // As for a socket that listens: earlier connections that linger do not matter.
      channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      channel.bind(address);
    } catch (IOException e) {
      throw new ServerStartException(
          "cannot listen at "
              + address.getHostString()
              + ":"
              + address.getPort()
              + ": "
              + e.getMessage()
              + "; choose another --tcp-bind-address",
          e);
    }
  }

  private static ZeusdServer startUnix(Node node, ServerConfig config, Listen.UnixSocket unix) {
    UnixSocketFile file = UnixSocketFile.prepare(unix);
    try {
      ZeusdServer server = startAt(node, config, UnixDomainSocketAddress.of(file.bindPath()), file);
      try {
        file.publish();
      } catch (ServerStartException e) {
        server.server.stop();
        throw e;
      }
      return server;
    } catch (ServerStartException e) {
      file.close();
      throw e;
    }
  }

  private static ZeusdServer startAt(
      Node node, ServerConfig config, SocketAddress address, AutoCloseable socketFile) {
    Limits limits = config.limits().withinMeans();
    Connections connections = new Connections(node, limits);
    PowerStreams streams = new PowerStreams(config.streamFormat(), connections, limits.streams());
    Optional<AuthFilter> auth = config.tokens().map(AuthFilter::new);
    boolean isOpenToBrowsers = config.listen() instanceof Listen.Tcp && auth.isEmpty();
    WebPages webPages = new WebPages(config.web(), isOpenToBrowsers);
    Routes routes = new Routes(config.groups(), auth, connections, webPages);
    new DiscoveryService(node, config.groups(), auth).addTo(routes);
    new GpuReadService(node, streams).addTo(routes);
    new GpuControlService(node).addTo(routes);
    new CpuReadService(node, streams).addTo(routes);
    WebServer server =
        builder()
            .bindAddress(address)
            .connectionOptions(connections)
            .maxTcpConnections(limits.connections())
            .addRouting(routes.finish())
            .build();
    try {
      server.start();
    } catch (RuntimeException e) {
      throw new ServerStartException("cannot listen at " + address + ": " + rootMessage(e), e);
    }
    if (!server.isRunning()) {
      throw new ServerStartException("cannot listen at " + address + ": the log says why");
    }
    return new ZeusdServer(server, streams, socketFile);
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
        // Connections does what this would do, and more; it would wake an idle daemon.
        .idleConnectionPeriod(Duration.ofDays(365))
        .directHandlers(ErrorMapper.directHandlers())
        // Otherwise the direct handlers get no message.
        .errorHandling(ErrorHandling.builder().includeEntity(true).build())
        // Nothing here takes a body.
        .maxPayloadSize(0)
        .shutdownHook(false)
        .shutdownGracePeriod(SHUTDOWN_GRACE);
  }

  private static String rootMessage(Throwable e) {
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return root.getMessage();
  }

  /** The TCP port it listens at; -1 for a Unix socket. */
  public int port() {
    return server.port();
  }

  /** Ends all streams and connections and removes the socket file. Idempotent. */
  @Override
  public void close() {
    streams.close();
    server.stop();
    try {
      socketFile.close();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
