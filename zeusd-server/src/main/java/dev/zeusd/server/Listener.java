package dev.zeusd.server;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.server.connection.ConnectionRegistry;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.http.ErrorMapper;
import dev.zeusd.server.http.HttpSelector;
import dev.zeusd.server.http.TlsSelector;
import dev.zeusd.server.tls.TlsCredentials;
import io.helidon.webserver.ErrorHandling;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.WebServerConfig;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http1.Http1Config;
import io.helidon.webserver.spi.ServerConnectionSelector;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;

/** One place where clients connect, and Helidon's server behind it. */
final class Listener implements AutoCloseable {
  private static final Duration SHUTDOWN_GRACE = Duration.ofMillis(150);

  private final Listen listen;
  private final WebServer server;
  private final Runnable stop;

  private Listener(Listen listen, WebServer server, Runnable stop) {
    this.listen = listen;
    this.server = server;
    this.stop = stop;
  }

  /**
   * What all of them share.
   *
   * @param routing what is answered
   * @param registry gets the connections
   * @param shares learn whose they are
   * @param tls for new connections of those that speak TLS
   */
  record Service(
      HttpRouting.Builder routing,
      ConnectionRegistry registry,
      Shares shares,
      Limits limits,
      AtomicReference<TlsCredentials> tls) {
    private HttpSelector http() {
      return new HttpSelector(
          Http1Config.builder()
              .maxPrologueLength(Limits.REQUEST_LINE_BYTES)
              .maxHeadersSize(Limits.HEADER_BYTES)
              .build());
    }

    private WebServer server(SocketAddress address, boolean isSecure) {
      ServerConnectionSelector selector =
          isSecure ? new TlsSelector(http(), registry, shares, tls::get) : http();
      return builder(selector)
          .bindAddress(address)
          // As many as the kernel lets wait, so that a crowd does not fill it.
          .backlog(limits.connections())
          .connectionOptions(registry.socketOptions())
          // Those that made room for others take a moment to end.
          .maxTcpConnections(limits.connections() + limits.connections() / 8 + 8)
          .addRouting(routing)
          .build();
    }
  }

  /** Loads what every server needs, and does nothing with it. */
  static void prepare() {
    Http1Config http1 = Http1Config.create();
    builder(new HttpSelector(http1)).addRouting(HttpRouting.builder()).build();
  }

  /**
   * Starts listening; returns when clients can connect.
   *
   * @throws ServerStartException if that cannot be where {@code listen} says
   */
  static Listener open(Listen listen, Service service) {
    return switch (listen) {
      case Listen.Tcp tcp -> {
        String option = tcp.tls().isPresent() ? "--tls-bind-address" : "--tcp-bind-address";
        tryToBind(tcp, option);
        WebServer server = service.server(tcp.address(), tcp.tls().isPresent());
        start(server, tcp.toString(), option);
        yield new Listener(listen, server, server::stop);
      }
      case Listen.UnixSocket unix -> {
        WebServer server = service.server(UnixDomainSocketAddress.of(unix.path()), false);
        UnixSocketFile file =
            UnixSocketFile.bind(
                unix,
                () -> start(server, unix.path().toString(), "--socket-path"),
                server::stop,
                service.registry::closeAll);
        yield new Listener(listen, server, file::close);
      }
    };
  }

  private static void start(WebServer server, String where, String option) {
    try {
      server.start();
    } catch (RuntimeException e) {
      throw cannotListen(where, e, option);
    }
    if (!server.isRunning()) {
      throw new ServerStartException("cannot listen at " + where + ": the log says why");
    }
  }

  /**
   * Helidon only logs that it cannot bind, so this finds out first, and why. It does not listen: a
   * client that came in this moment would be thrown out.
   */
  private static void tryToBind(Listen.Tcp tcp, String option) {
    try (SocketChannel channel = SocketChannel.open()) {
      // As for a socket that listens: earlier connections that linger do not matter.
      channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      channel.bind(tcp.address());
    } catch (IOException e) {
      throw cannotListen(tcp.toString(), e, option);
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
                  + (option.endsWith("-bind-address") ? " (ports below 1024 need root)" : "");
          default -> root instanceof IOException io ? FileFacts.reason(io) : "the log says why";
        };
    return new ServerStartException(
        "cannot listen at " + where + ": " + why + "; choose another " + option, e);
  }

  private static WebServerConfig.Builder builder(ServerConnectionSelector selector) {
    return WebServer.builder()
        // The discovered one, as well, would make a second candidate for each connection.
        .protocolsDiscoverServices(false)
        .addConnectionSelector(selector)
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

  Listen listen() {
    return listen;
  }

  /** The TCP port; -1 for a Unix socket. */
  int port() {
    return server.port();
  }

  /** Ends the connections, too, and removes the socket file. Idempotent. */
  @Override
  public void close() {
    stop.run();
  }
}
