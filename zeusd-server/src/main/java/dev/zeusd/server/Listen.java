package dev.zeusd.server;

import dev.zeusd.server.tls.TlsCredentials;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;

/** Where the server listens. */
public sealed interface Listen {
  /**
   * A TCP address.
   *
   * @param address resolved; port 0 lets the system choose
   * @param tls what TLS begins with, if it is spoken there
   */
  record Tcp(InetSocketAddress address, Optional<TlsCredentials> tls) implements Listen {
    /**
     * Plain HTTP.
     *
     * @param address where to listen; port 0: any that is free
     */
    public Tcp(InetSocketAddress address) {
      this(address, Optional.empty());
    }

    /** Checks that the host is known. */
    public Tcp {
      Objects.requireNonNull(tls);
      if (address.isUnresolved()) {
        throw new IllegalArgumentException("unknown host: " + address.getHostString());
      }
    }

    /** {@return the address as people write it} */
    @Override
    public String toString() {
      String host = address.getHostString();
      String shown = host.contains(":") ? "[" + shortIpv6(host) + "]" : host;
      return shown + ":" + address.getPort();
    }

    /** With two colons for the longest row of zeros (RFC 5952, 4.2), which the JDK writes out. */
    private static String shortIpv6(String host) {
      for (int zeros = 8; zeros > 1; zeros--) {
        String row = "0" + ":0".repeat(zeros - 1);
        String shorter = host.replaceFirst("(?<![^:])" + row + "(?![^:%])", "\u0000");
        if (!shorter.equals(host)) {
          return shorter.replaceFirst(":?\u0000:?", "::");
        }
      }
      return host;
    }
  }

  /**
   * A Unix socket.
   *
   * @param path of the socket file
   * @param permissions of the file, 0 to 0777
   * @param uid its owner, unless the process's
   * @param gid its group, unless the process's
   */
  record UnixSocket(Path path, int permissions, OptionalInt uid, OptionalInt gid)
      implements Listen {
    /** {@code sun_path} of Linux has 108 bytes, of which the JDK uses two less. */
    public static final int MAX_PATH_BYTES = 106;

    /** Checks the permissions and makes the path absolute. */
    public UnixSocket {
      if (permissions < 0 || permissions > 0777) {
        throw new IllegalArgumentException(
            "socket permissions " + Integer.toOctalString(permissions) + " are not 0 to 777");
      }
      path = path.toAbsolutePath().normalize();
      Objects.requireNonNull(uid);
      Objects.requireNonNull(gid);
    }
  }
}
