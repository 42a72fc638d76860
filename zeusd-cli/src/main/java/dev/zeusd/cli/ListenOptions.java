package dev.zeusd.cli;

import dev.zeusd.server.Listen;
import dev.zeusd.server.WebAccess;
import dev.zeusd.server.ZeusdServer;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import picocli.CommandLine.Option;

/** Options of {@code zeusd serve}: where clients find it, and by which names. */
final class ListenOptions {
  /** Values of {@code --mode}. */
  enum Mode {
    UDS,
    TCP
  }

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

  Mode mode() {
    return mode;
  }

  /**
   * Where to listen.
   *
   * @throws StartupException for a host that cannot be found
   */
  Listen listen() {
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

  WebAccess webAccess() {
    return new WebAccess(Set.copyOf(allowedHosts), Set.copyOf(allowedOrigins));
  }

  /** Where {@code server} listens, with the port that it got. */
  String where(ZeusdServer server) {
    return mode == Mode.UDS
        ? socketPath.toString()
        : tcpBindAddress.bracketedHost() + ":" + server.port();
  }
}
