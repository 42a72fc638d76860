package dev.zeusd.server;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Objects;
import java.util.OptionalInt;

/** Where the server listens. */
public sealed interface Listen {
  /**
   * A TCP address.
   *
   * @param address resolved; port 0 lets the system choose
   */
  record Tcp(InetSocketAddress address) implements Listen {
    /** Checks that the host is known. */
    public Tcp {
      if (address.isUnresolved()) {
        throw new IllegalArgumentException("unknown host: " + address.getHostString());
      }
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
