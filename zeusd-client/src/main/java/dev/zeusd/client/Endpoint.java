package dev.zeusd.client;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Where a daemon listens. */
public sealed interface Endpoint {
  /** The port of a daemon that was not told another one. */
  int DEFAULT_PORT = 4938;

  /**
   * A Unix socket.
   *
   * @param path its path
   */
  record Unix(Path path) implements Endpoint {
    @Override
    public String toString() {
      return path.toString();
    }
  }

  /**
   * A port without encryption.
   *
   * @param host a name or an address; of IPv6 without brackets
   * @param port from 1 to 65535
   */
  record Tcp(String host, int port) implements Endpoint {
    @Override
    public String toString() {
      return hostPort(host, port);
    }
  }

  /**
   * A port with TLS. The certificate has to be for {@code host}.
   *
   * @param host a name or an address; of IPv6 without brackets
   * @param port from 1 to 65535
   */
  record Tls(String host, int port) implements Endpoint {
    @Override
    public String toString() {
      return "https://" + hostPort(host, port);
    }
  }

  /**
   * Reads an address as people write it: {@code /path/of/a.sock}, {@code unix:/path}, {@code
   * host:4938}, {@code http://host:4938}, {@code https://host:4938}, {@code [::1]:4938}. Without a
   * port, it is {@value #DEFAULT_PORT}.
   *
   * @param text the address
   * @return the address
   * @throws IllegalArgumentException for anything else
   */
  static Endpoint parse(String text) {
    String address = text.strip();
    if (address.startsWith("unix:")) {
      return unix(address.substring("unix:".length()).replaceFirst("^//(?=/)", ""), text);
    }
    if (address.indexOf('/') >= 0 && !address.contains("://")) {
      return unix(address, text);
    }
    Matcher matcher = Address.PATTERN.matcher(address);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "'"
              + text
              + "' is no address of a daemon; use the path of its socket, host:port, or"
              + " https://host:port");
    }
    String host = matcher.group("host") != null ? matcher.group("host") : matcher.group("ipv6");
    String digits = matcher.group("port");
    int port = digits == null ? DEFAULT_PORT : Integer.parseInt(digits);
    if (port < 1 || port > 65535) {
      throw new IllegalArgumentException("'" + text + "': a port is from 1 to 65535");
    }
    return "https".equalsIgnoreCase(matcher.group("scheme"))
        ? new Tls(host, port)
        : new Tcp(host, port);
  }

  private static Unix unix(String path, String text) {
    if (path.isEmpty()) {
      throw new IllegalArgumentException("'" + text + "' has no path");
    }
    return new Unix(Path.of(path));
  }

  /**
   * {@return where the environment says that the daemon is: {@code ZEUSD_SOCK_PATH}, else {@code
   * ZEUSD_HOST_PORT}, as the Python clients of Zeus have it (the latter may begin with {@code
   * https://}); else the first of the usual sockets that is there}
   *
   * @throws IllegalArgumentException naming the variable that makes no sense
   */
  static Endpoint fromEnvironment() {
    return from(System.getenv());
  }

  /**
   * As {@link #fromEnvironment()}, of these variables.
   *
   * @param environment as {@link System#getenv()}
   * @return the address; a default socket, if they name none
   */
  static Endpoint from(Map<String, String> environment) {
    String path = environment.getOrDefault("ZEUSD_SOCK_PATH", "");
    if (!path.isEmpty()) {
      return new Unix(Path.of(path));
    }
    String address = environment.getOrDefault("ZEUSD_HOST_PORT", "");
    if (address.isEmpty()) {
      return usualSocket();
    }
    try {
      return parse(address);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("ZEUSD_HOST_PORT: " + e.getMessage(), e);
    }
  }

  /** The socket of a daemon as it is by itself, or of the packages' service. */
  private static Unix usualSocket() {
    List<Path> paths = List.of(Path.of("/var/run/zeusd.sock"), Path.of("/run/zeusd/zeusd.sock"));
    return new Unix(paths.stream().filter(Files::exists).findFirst().orElse(paths.getFirst()));
  }

  private static String hostPort(String host, int port) {
    return (host.indexOf(':') < 0 ? host : "[" + host + "]") + ":" + port;
  }
}

/** What an address with a port looks like. */
final class Address {
  static final Pattern PATTERN =
      Pattern.compile(
          "(?:(?<scheme>[hH][tT][tT][pP][sS]?)://)?"
              + "(?:(?<host>[^\\s:/\\[\\]]+)|\\[(?<ipv6>[0-9a-fA-F:.%\\w]+)\\])"
              + "(?::(?<port>\\d{1,5}))?/?");

  private Address() {}
}
