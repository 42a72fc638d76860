package dev.zeusd.server.connection;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import java.util.stream.Stream;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLPeerUnverifiedException;

/**
 * TLS on a connection's channel: plain bytes on this side, encrypted ones on the other.
 *
 * <p>The connection's handler uses what waits for the client: {@link #handshake}, {@link #read},
 * {@link #write}. When it has handed the connection over to those who write streams, they use what
 * does not: {@link #writeSome}, {@link #discardInput}. Nothing is kept for a connection that is
 * idle but the state of its encryption: Helidon's own TLS keeps four buffers of 17,000 bytes.
 */
public final class TlsChannel {
  private final SocketChannel channel;
  private final SSLEngine engine;
  private final Supplier<byte[]> source;

  /** Of the thread that reads. */
  private final TlsInput input;

  private final TlsOutput output;
  private volatile List<X509Certificate> clientChain = List.of();

  /**
   * TLS of a connection that begins.
   *
   * @param source of what the client sends, for {@link #handshake} and {@link #read}; waits for it,
   *     and gives null at the end
   */
  public TlsChannel(SocketChannel channel, SSLEngine engine, Supplier<byte[]> source) {
    this.channel = channel;
    this.engine = engine;
    this.source = source;
    input = new TlsInput(engine);
    output = new TlsOutput(channel, engine);
  }

  /**
   * The certificates of the client, its own first; none if it was not asked for any, or the
   * handshake is not over.
   */
  public List<X509Certificate> clientChain() {
    return clientChain;
  }

  // ---- For the handler, which waits ----

  /**
   * The first byte that the client sends; what it begins with is part of a handshake all the same.
   *
   * @throws EOFException if it has gone
   */
  public boolean beginsWithHandshake() throws IOException {
    receive();
    return input.beginsWithHandshake();
  }

  /**
   * Agrees with the client on keys.
   *
   * @param steps runs what takes a processor some time before it returns
   * @throws SSLException if that cannot be; the client has been told
   */
  public void handshake(Executor steps) throws IOException {
    try {
      engine.beginHandshake();
      while (true) {
        switch (engine.getHandshakeStatus()) {
          case NEED_TASK -> steps.execute(this::runTasks);
          case NEED_WRAP -> write(TlsOutput.NOTHING.duplicate());
          case NEED_UNWRAP, NEED_UNWRAP_AGAIN -> {
            if (input.hasRecord()) {
              input.takeHandshakeRecord();
            } else {
              receive();
            }
          }
          case NOT_HANDSHAKING, FINISHED -> {
            clientChain = chainOfClient();
            return;
          }
        }
      }
    } catch (SSLException e) {
      close();
      throw e;
    }
  }

  private void runTasks() {
    for (Runnable task = engine.getDelegatedTask();
        task != null;
        task = engine.getDelegatedTask()) {
      task.run();
    }
  }

  private List<X509Certificate> chainOfClient() {
    if (!engine.getNeedClientAuth()) {
      return List.of();
    }
    try {
      return Stream.of(engine.getSession().getPeerCertificates())
          .map(X509Certificate.class::cast)
          .toList();
    } catch (SSLPeerUnverifiedException e) {
      return List.of();
    }
  }

  private void receive() throws EOFException {
    byte[] more = source.get();
    if (more == null) {
      throw new EOFException("the client has gone");
    }
    input.append(ByteBuffer.wrap(more));
  }

  /**
   * The next plain bytes; null once the client has said that nothing follows.
   *
   * @throws EOFException if it has gone without that
   */
  public byte[] read() throws IOException {
    while (true) {
      while (!input.hasRecord()) {
        receive();
      }
      ByteBuffer plain = input.newBuffer();
      if (!input.takeRecord(plain)) {
        return null;
      }
      if (TlsOutput.hasToAnswer(engine)) {
        // The client has new keys, and wants to hear that ours are, too.
        write(TlsOutput.NOTHING.duplicate());
      }
      if (plain.position() > 0) {
        return Arrays.copyOf(plain.array(), plain.position());
      }
    }
  }

  /** Sends all of {@code plain}. */
  public void write(ByteBuffer plain) throws IOException {
    output.write(plain);
  }

  // ---- For those who write streams, who do not wait; the channel does not block any more ----

  /**
   * Takes as much of {@code plain} as can be sent by now, maybe nothing; once more while earlier
   * bytes are still on their way.
   */
  public void writeSome(ByteBuffer plain) throws IOException {
    output.writeSome(plain);
  }

  /**
   * Throws away what the client has sent.
   *
   * @param encrypted to read into
   * @return false if it has gone, or says that it goes
   */
  public boolean discardInput(ByteBuffer encrypted) throws IOException {
    int count = channel.read(encrypted.clear());
    if (count < 0) {
      return false;
    }
    input.append(encrypted.flip());
    while (input.hasRecord()) {
      if (!input.takeRecord(input.newBuffer())) {
        return false;
      }
    }
    return true;
  }

  // ---- The end ----

  /**
   * Says to the client that nothing follows. By any thread, if nobody writes any more; it waits for
   * a client that takes nothing only if the channel blocks.
   */
  public void close() {
    output.close();
  }
}
