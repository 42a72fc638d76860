package dev.zeusd.server.http;

import dev.zeusd.server.connection.Client;
import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.connection.ConnectionRegistry;
import dev.zeusd.server.connection.Peer;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.connection.TlsChannel;
import dev.zeusd.server.tls.TlsCredentials;
import io.helidon.common.buffers.BufferData;
import io.helidon.common.buffers.DataReader;
import io.helidon.common.buffers.DataWriter;
import io.helidon.common.concurrency.limits.Limit;
import io.helidon.common.task.InterruptableTask;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.spi.ServerConnection;
import io.helidon.webserver.spi.ServerConnectionSelector;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import javax.net.ssl.SSLException;

/**
 * Takes every connection of a port that speaks TLS, and has its plain bytes served by {@link
 * HttpSelector}. Not Helidon's own TLS: that keeps 84 kB of buffers for a connection, cannot be
 * written to without waiting for the client, as streams have to, and asks the name service for each
 * client's name.
 */
public final class TlsSelector implements ServerConnectionSelector {
  private static final System.Logger LOG = System.getLogger(TlsSelector.class.getName());

  /** Of reasons why handshakes fail, which clients make up as they like. */
  private static final int MOST_SAID = 10;

  private final HttpSelector http;
  private final ConnectionRegistry registry;
  private final Shares shares;
  private final Supplier<TlsCredentials> credentials;
  private final Set<String> said = ConcurrentHashMap.newKeySet();

  /**
   * Serves by {@code http} what comes over TLS.
   *
   * @param shares have handshakes take turns, and learn from certificates whose connections they
   *     are
   * @param credentials gives those for a new connection
   */
  public TlsSelector(
      HttpSelector http,
      ConnectionRegistry registry,
      Shares shares,
      Supplier<TlsCredentials> credentials) {
    this.http = http;
    this.shares = shares;
    this.registry = registry;
    this.credentials = credentials;
  }

  @Override
  public int bytesToIdentifyConnection() {
    return http.bytesToIdentifyConnection();
  }

  @Override
  public Support supports(BufferData data) {
    return Support.SUPPORTED;
  }

  @Override
  public Set<String> supportedApplicationProtocols() {
    return http.supportedApplicationProtocols();
  }

  @Override
  public ServerConnection connection(ConnectionContext context) {
    return new Secured(context);
  }

  /** A connection: first the handshake, then what is said in it. */
  private final class Secured implements ServerConnection, InterruptableTask<Void> {
    private final ConnectionContext context;
    private final long beganNanos = System.nanoTime();
    private volatile Thread handler;

    /** Null before the end of the handshake. */
    private volatile ServerConnection http1;

    Secured(ConnectionContext context) {
      this.context = context;
    }

    @Override
    public void handle(Limit limit) throws InterruptedException {
      handler = Thread.currentThread();
      Connection connection = registry.get(context.childSocketId());
      Client client = connection.client();
      TlsCredentials own = credentials.get();
      TlsChannel tls =
          new TlsChannel(client.channel(), own.newEngine(), () -> next(context.dataReader()));
      shakeHands(tls, step -> shares.stepOfHandshake(connection, step));
      client.secure(tls);
      client
          .certificate()
          .map(certificate -> new Peer.CertificateHolder(certificate.getSubjectX500Principal()))
          .ifPresent(holder -> shares.belongsTo(connection, holder));
      if (credentials.get() != own && !credentials.get().letsIn(tls.clientChain())) {
        throw new CloseConnectionException("not let in any more");
      }
      try {
        http1 =
            http.connection(
                new RewiredContext(
                    context, DataReader.create(() -> read(tls)), new TlsWriter(tls), true));
        http1.handle(limit);
      } finally {
        tls.close();
      }
    }

    private void shakeHands(TlsChannel tls, Executor steps) {
      try {
        if (!tls.beginsWithHandshake()) {
          refusePlain();
          throw new CloseConnectionException("not TLS");
        }
        tls.handshake(steps);
      } catch (SSLException e) {
        say("no TLS with " + client() + ": " + e.getMessage(), e.getMessage());
        throw new CloseConnectionException("no TLS", e);
      } catch (IOException e) {
        throw new CloseConnectionException("gone during the handshake", e);
      }
    }

    private void refusePlain() {
      say(client() + " speaks plain HTTP to the port for TLS: use https, not http", "plain");
      byte[] refusal =
          ErrorMapper.response(Status.BAD_REQUEST_400, "this port is for TLS: use https, not http");
      context.dataWriter().writeNow(BufferData.create(refusal));
    }

    private String client() {
      return context.remotePeer().address().toString();
    }

    /** Once for each reason. */
    private void say(String what, String reason) {
      if (said.size() < MOST_SAID && said.add(String.valueOf(reason))) {
        LOG.log(System.Logger.Level.INFO, "{0}; said once", what);
      }
    }

    @Override
    public boolean canInterrupt() {
      return !(http1 instanceof InterruptableTask<?> task) || task.canInterrupt();
    }

    @Override
    public Duration idleTime() {
      ServerConnection served = http1;
      return served == null ? Duration.ofNanos(System.nanoTime() - beganNanos) : served.idleTime();
    }

    @Override
    public void close(boolean interrupt) {
      ServerConnection served = http1;
      if (served != null) {
        served.close(interrupt);
      } else if (handler != null) {
        handler.interrupt();
      }
    }
  }

  /** What the client sends next, encrypted; null at the end. */
  private static byte[] next(DataReader source) {
    try {
      source.ensureAvailable();
      return source.readBytes(source.available());
    } catch (DataReader.InsufficientDataAvailableException e) {
      return null;
    }
  }

  private static byte[] read(TlsChannel tls) {
    try {
      return tls.read();
    } catch (EOFException | SSLException e) {
      // To whoever reads, the same as a client that has gone.
      return null;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Encrypts what is written, and waits until the client takes it. */
  private record TlsWriter(TlsChannel tls) implements DataWriter {
    @Override
    public void write(BufferData... buffers) {
      writeNow(BufferData.create(buffers));
    }

    @Override
    public void write(BufferData buffer) {
      writeNow(buffer);
    }

    @Override
    public void writeNow(BufferData... buffers) {
      writeNow(BufferData.create(buffers));
    }

    @Override
    public void writeNow(BufferData buffer) {
      try {
        tls.write(ByteBuffer.wrap(buffer.readBytes()));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
