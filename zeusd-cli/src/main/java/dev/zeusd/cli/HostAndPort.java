package dev.zeusd.cli;

import java.net.InetAddress;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Where to listen.
 *
 * @param host a name, or an IP address, without brackets
 * @param port 0 for one that the system chooses
 */
record HostAndPort(String host, int port) {
  /** As it stands before a port. */
  String bracketedHost() {
    return host.contains(":") ? "[" + host + "]" : host;
  }

  /** Looks only at the form: whether a name can be found is a matter of the moment. */
  static final class Converter implements ITypeConverter<HostAndPort> {
    private static final String NAME = "[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?";

    @Override
    public HostAndPort convert(String text) {
      int colon = text.lastIndexOf(':');
      String host = colon < 0 ? "" : text.substring(0, colon);
      boolean bracketed = host.startsWith("[") && host.endsWith("]");
      if (bracketed) {
        host = host.substring(1, host.length() - 1);
      }
      if (!(bracketed ? isIpv6(host) : isNameOrIpv4(host))) {
        throw new TypeConversionException(
            "'" + text + "' is not HOST:PORT, such as 127.0.0.1:4938 or [::1]:4938");
      }
      return new HostAndPort(host, (int) Converters.number(text.substring(colon + 1), 0, 65535));
    }

    private static boolean isIpv6(String host) {
      // What follows a percent sign is the name of an interface, which may come later.
      int zone = host.indexOf('%');
      return host.contains(":") && isLiteral(zone < 0 ? host : host.substring(0, zone));
    }

    private static boolean isNameOrIpv4(String host) {
      // A name does not end in a number (RFC 3696), so it can only be an address.
      boolean isAddress = host.matches("(.*\\.)?\\d+\\.?");
      return host.matches(NAME) && (!isAddress || isLiteral(host));
    }

    private static boolean isLiteral(String host) {
      try {
        return InetAddress.ofLiteral(host).getHostAddress() != null;
      } catch (IllegalArgumentException e) {
        return false;
      }
    }
  }
}
