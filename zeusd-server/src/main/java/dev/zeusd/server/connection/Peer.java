package dev.zeusd.server.connection;

import static jdk.net.ExtendedSocketOptions.SO_PEERCRED;

import dev.zeusd.ffm.posix.Accounts;
import dev.zeusd.ffm.posix.Descriptors;
import dev.zeusd.ffm.posix.PeerProcess;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.nio.channels.SocketChannel;
import java.nio.file.FileSystems;
import java.nio.file.attribute.UserPrincipal;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import javax.security.auth.x500.X500Principal;
import jdk.net.UnixDomainPrincipal;

/**
 * Whom a share belongs to. Equal peers share one, however many connections, processes or addresses
 * they have.
 */
public sealed interface Peer {
  /** Whether no share of others may keep it out. */
  default boolean isRoot() {
    return false;
  }

  /**
   * A user of this machine, at the other end of a Unix socket.
   *
   * @param user compared by uid, as the kernel tells it
   */
  record LocalUser(UserPrincipal user) implements Peer {
    private static final UserPrincipal ROOT = root();

    private static UserPrincipal root() {
      try {
        // A number is taken as a uid where no user has it as a name, such as in a bare container.
        return FileSystems.getDefault().getUserPrincipalLookupService().lookupPrincipalByName("0");
      } catch (IOException e) {
        throw new IllegalStateException("uid 0 is on every machine", e);
      }
    }

    /** Compares users. */
    public LocalUser {
      Objects.requireNonNull(user);
    }

    @Override
    public boolean isRoot() {
      return user.equals(ROOT);
    }

    @Override
    public String toString() {
      return "local user " + user.getName();
    }
  }

  /**
   * Where a TCP connection comes from. Whoever has one address of an IPv6 network of 64 bits has
   * them all, and every user of this machine has all of 127.0.0.0/8, so these are one host each.
   *
   * @param network in words
   */
  record Host(String network) implements Peer {
    private static final int IPV6_NETWORK_BYTES = 8;

    static Host of(InetAddress address) {
      if (address.isLoopbackAddress()) {
        return new Host("this machine's loopback address");
      }
      if (address instanceof Inet6Address) {
        byte[] bytes = address.getAddress();
        Arrays.fill(bytes, IPV6_NETWORK_BYTES, bytes.length, (byte) 0);
        try {
          return new Host(InetAddress.getByAddress(bytes).getHostAddress() + "/64");
        } catch (UnknownHostException e) {
          throw new IllegalStateException("16 bytes are an address", e);
        }
      }
      return new Host(address.getHostAddress());
    }

    @Override
    public String toString() {
      return network;
    }
  }

  /**
   * The user whom a token names, on whatever connections it comes.
   *
   * @param subject the token's {@code sub}
   */
  record TokenUser(String subject) implements Peer {
    @Override
    public String toString() {
      return "user '" + subject + "'";
    }
  }

  /**
   * Whom a client's certificate names, wherever it connects from.
   *
   * @param subject of the certificate
   */
  record CertificateHolder(X500Principal subject) implements Peer {
    @Override
    public String toString() {
      return "certificate '" + subject.getName() + "'";
    }
  }

  /**
   * Who has connected, before there is a token.
   *
   * @throws IOException if the other end has gone already
   */
  static Peer of(SocketChannel channel) throws IOException {
    SocketAddress address = channel.getRemoteAddress();
    return address instanceof InetSocketAddress internet
        ? Host.of(internet.getAddress())
        : new LocalUser(channel.getOption(SO_PEERCRED).user());
  }

  /**
   * The process at the other end of a Unix socket; empty on TCP.
   *
   * <p>Where the JVM does not let the kernel be asked for it, its user and main group are known,
   * and neither its number nor its other groups.
   *
   * @throws IOException if the other end has gone already
   */
  static Optional<PeerProcess> process(SocketChannel channel) throws IOException {
    if (channel.getRemoteAddress() instanceof InetSocketAddress) {
      return Optional.empty();
    }
    if (Descriptors.areKnown()) {
      return Optional.of(PeerProcess.of(channel));
    }
    UnixDomainPrincipal principal = channel.getOption(SO_PEERCRED);
    String user = principal.user().getName();
    String group = principal.group().getName();
    int gid = number(Accounts.gid(group), group);
    return Optional.of(new PeerProcess(0, number(Accounts.uid(user), user), gid, Set.of(gid)));
  }

  /** The JDK has the number in place of a name where there is no name. */
  private static int number(OptionalInt byName, String name) throws IOException {
    try {
      return byName.isPresent() ? byName.getAsInt() : Integer.parseUnsignedInt(name);
    } catch (NumberFormatException e) {
      throw new IOException("nobody knows " + name, e);
    }
  }
}
