package dev.zeusd.server.connection;

import dev.zeusd.ffm.posix.Descriptors;
import dev.zeusd.ffm.posix.PeerProcess;
import dev.zeusd.ffm.posix.TcpPatience;
import io.helidon.webserver.CloseConnectionException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Who is at the other end of a {@link Connection}, and the way there: its bytes, plain or
 * encrypted.
 *
 * <p>Thread-safe.
 */
public final class Client {
  /** As long as a client may be stuck that is there. */
  private static final Duration HOST_PATIENCE = Duration.ofSeconds(10);

  private final SocketChannel channel;

  /** Empty on a Unix socket and on plain TCP, and during the handshake. */
  private volatile Optional<TlsChannel> tls = Optional.empty();

  /** Null before it had to be known; then empty for a TCP connection. */
  private volatile Optional<PeerProcess> process;

  /** Null before it had to be known: for a user's name, the system may ask a server. */
  private volatile String name;

  Client(SocketChannel channel) {
    this.channel = channel;
  }

  /** Its bytes; with {@link #tls}, as they are on the way. */
  public SocketChannel channel() {
    return channel;
  }

  /** Where plain bytes go, if not to the {@link #channel}. */
  public Optional<TlsChannel> tls() {
    return tls;
  }

  /** It is encrypted from here on. */
  public void secure(TlsChannel tls) {
    this.tls = Optional.of(tls);
  }

  /**
   * The process, as it was when it connected; empty for a TCP connection.
   *
   * @throws CloseConnectionException if the connection is closed
   */
  public Optional<PeerProcess> process() {
    Optional<PeerProcess> known = process;
    if (known == null) {
      try {
        known = Peer.process(channel);
        process = known;
      } catch (IOException e) {
        throw new CloseConnectionException("closed meanwhile", e);
      }
    }
    return known;
  }

  /** The certificate, if it was asked for one. */
  public Optional<X509Certificate> certificate() {
    return tls.map(TlsChannel::clientChain).filter(chain -> !chain.isEmpty()).map(List::getFirst);
  }

  /** In words: the user of a Unix socket's client, whom a certificate names, or a TCP address. */
  public String name() {
    String known = name;
    if (known == null) {
      known = findName();
      name = known;
    }
    return known;
  }

  private String findName() {
    Optional<X509Certificate> certificate = certificate();
    if (certificate.isPresent()) {
      return new Peer.CertificateHolder(certificate.get().getSubjectX500Principal()).toString();
    }
    try {
      return channel.getRemoteAddress() instanceof InetSocketAddress address
          ? address.getAddress().getHostAddress()
          : Peer.of(channel).toString();
    } catch (IOException e) {
      return "unknown";
    }
  }

  boolean isOpen() {
    return channel.isOpen();
  }

  /** By itself, the kernel waits for a quarter of an hour for a host that does not answer. */
  void noticeVanishedHost() {
    try {
      if (Descriptors.areKnown() && channel.getRemoteAddress() instanceof InetSocketAddress) {
        TcpPatience.set(channel, HOST_PATIENCE);
      }
    } catch (IOException e) {
      // It is closed, as whoever writes to it finds out.
    }
  }

  /** Sends what nothing follows. */
  void sendLast(byte[] bytes) {
    try {
      if (tls.isPresent()) {
        tls.get().write(ByteBuffer.wrap(bytes));
        tls.get().close();
      } else {
        channel.write(ByteBuffer.wrap(bytes));
      }
    } catch (IOException e) {
      // The client has left.
    }
  }

  /** Says that nothing follows, where that can be said. */
  void sayGoodbye() {
    tls.ifPresent(TlsChannel::close);
  }

  /** Ends it for both sides. */
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // It is closed even so.
    }
  }
}
