package dev.zeusd.cli;

import dev.zeusd.server.Listen;
import dev.zeusd.server.WebAccess;
import dev.zeusd.server.ZeusdServer;
import dev.zeusd.server.tls.TlsCredentials;
import dev.zeusd.server.tls.TlsFiles;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Options of {@code zeusd serve}: where clients find it, and by which names. */
final class ListenOptions {
  /** Values of {@code --mode}. */
  enum Mode {
    UDS,
    TCP,
    TLS
  }

  /** Some of them, at least one; for picocli a single value, so that the option is given once. */
  record Modes(Set<Mode> all) {
    @Override
    public String toString() {
      return all.toString();
    }
  }

  @Option(
      names = "--mode",
      paramLabel = "<MODE>",
      defaultValue = "uds",
      converter = Converters.Modes.class,
      completionCandidates = Converters.Modes.class,
      description =
          "Listen on a Unix socket (uds), TCP (tcp) or TLS (tls), or on several of them, such as"
              + " uds,tls [default: ${DEFAULT-VALUE}]")
  private Modes modes;

  @Option(
      names = "--socket-path",
      paramLabel = "<PATH>",
      converter = Converters.SocketPath.class,
      defaultValue = "${env:ZEUSD_SOCKET:-/var/run/zeusd.sock}",
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
      converter = HostAndPort.Converter.class,
      description =
          "[tcp] Address to listen at; for IPv6, such as [::1]:4938 [default: ${DEFAULT-VALUE}]")
  private HostAndPort tcpBindAddress;

  @Mixin private TlsOptions tls;

  @Option(
      names = "--allowed-host",
      paramLabel = "<NAME>[,<NAME>...]",
      converter = Converters.HostNames.class,
      description =
          "[tcp, tls] Host names by which clients may call this daemon, besides localhost and IP"
              + " addresses; with --signing-key-path, any name will do")
  private List<String> allowedHosts = List.of();

  @Option(
      names = "--allowed-origin",
      paramLabel = "<ORIGIN>[,<ORIGIN>...]",
      converter = Converters.Origins.class,
      description =
          "Origins of web pages that may use this daemon, such as https://dashboard.example:3000"
              + " [default: only its own]")
  private List<String> allowedOrigins = List.of();

  /** Each of them once, in the order of {@link Mode}. */
  Set<Mode> modes() {
    return modes.all;
  }

  /**
   * What TLS needs, if it is spoken.
   *
   * @throws ParameterException if options of TLS are missing, or would have no effect
   */
  Optional<TlsFiles> tlsFiles(CommandLine commandLine) {
    return tls.files(modes().contains(Mode.TLS), commandLine);
  }

  /**
   * Where to listen.
   *
   * @param credentials of TLS, if it is spoken
   * @throws StartupException for a host that cannot be found
   */
  List<Listen> listens(Optional<TlsCredentials> credentials) {
    return modes().stream().map(mode -> listen(mode, credentials)).toList();
  }

  private Listen listen(Mode mode, Optional<TlsCredentials> credentials) {
    return switch (mode) {
      case TCP -> new Listen.Tcp(resolve(tcpBindAddress, "--tcp-bind-address"));
      case TLS -> new Listen.Tcp(resolve(tls.bindAddress(), "--tls-bind-address"), credentials);
      case UDS ->
          new Listen.UnixSocket(
              socketPath, socketPermissions, optional(socketUid), optional(socketGid));
    };
  }

  private static InetSocketAddress resolve(HostAndPort address, String option) {
    InetSocketAddress resolved = new InetSocketAddress(address.host(), address.port());
    if (resolved.isUnresolved()) {
      throw new StartupException(
          "the host "
              + address.host()
              + " of "
              + option
              + " cannot be found; check the name and this machine's name"
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

  /** Where {@code server} listens, with the ports that it got. */
  String where(List<Listen> listens, ZeusdServer server) {
    return listens.stream()
        .map(listen -> where(listen, server.port(listen)))
        .collect(Collectors.joining(" and "));
  }

  private String where(Listen listen, int port) {
    return switch (listen) {
      case Listen.UnixSocket unix -> socketPath.toString();
      case Listen.Tcp tcp ->
          tcp.tls().isPresent()
              ? "https://" + tls.bindAddress().bracketedHost() + ":" + port
              : tcpBindAddress.bracketedHost() + ":" + port;
    };
  }
}
