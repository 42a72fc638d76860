package dev.zeusd.server.connection;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import java.util.stream.Stream;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
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
  private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

  /** RFC 8446, 5.1: type, version, length. */
  private static final int HEADER_BYTES = 5;

  private static final int LENGTH_AT = 3;
  private static final byte HANDSHAKE = 0x16;

  /** What a record may have at most (RFC 5246, 6.2.3). */
  private static final int MAX_RECORD_BYTES = HEADER_BYTES + (1 << 14) + 2048;

  /** More than any client wants that is well; each takes some 3 kB until it is answered. */
  private static final int MAX_NEW_KEYS = 16;

  /** For what is being encrypted at this moment: as many as there are threads at it, and some. */
  private static final Queue<ByteBuffer> BUFFERS =
      new ArrayBlockingQueue<>(4 * Runtime.getRuntime().availableProcessors());

  private final SocketChannel channel;
  private final SSLEngine engine;
  private final Supplier<byte[]> source;
  private final ReentrantLock writing = new ReentrantLock();

  /** Encrypted bytes that have come; of the thread that reads. */
  private ByteBuffer received = NOTHING;

  /** How often the client has wanted new keys since it was last answered; of the same thread. */
  private int newKeys;

  /** What {@link #writeSome} has encrypted, and the client has not taken; guarded by writing. */
  private ByteBuffer unsent = NOTHING;

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
    return received.get(received.position()) == HANDSHAKE;
  }

  /**
   * Agrees with the client on keys.
   *
   * @throws SSLException if that cannot be; the client has been told
   */
  public void handshake() throws IOException {
    try {
      engine.beginHandshake();
      while (true) {
        switch (engine.getHandshakeStatus()) {
          case NEED_TASK -> runTasks();
          case NEED_WRAP -> write(NOTHING.duplicate());
          case NEED_UNWRAP, NEED_UNWRAP_AGAIN -> {
            if (!hasRecord()) {
              receive();
            } else if (unwrap(newBuffer()).getStatus() == SSLEngineResult.Status.CLOSED) {
              throw new SSLException("the client has ended the handshake");
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
    append(ByteBuffer.wrap(more));
  }

  /** The next plain bytes; null at the end. */
  public byte[] read() throws IOException {
    while (true) {
      while (!hasRecord()) {
        byte[] more = source.get();
        if (more == null) {
          return null;
        }
        append(ByteBuffer.wrap(more));
      }
      ByteBuffer plain = newBuffer();
      if (!takeRecord(plain)) {
        return null;
      }
      if (hasToAnswer()) {
        // The client has new keys, and wants to hear that ours are, too.
        write(NOTHING.duplicate());
      }
      if (plain.position() > 0) {
        return Arrays.copyOf(plain.array(), plain.position());
      }
    }
  }

  /** Sends all of {@code plain}. */
  public void write(ByteBuffer plain) throws IOException {
    writing.lock();
    ByteBuffer encrypted = takeBuffer();
    try {
      boolean isFull;
      do {
        encrypted.clear();
        do {
          wrap(plain, encrypted);
          isFull = encrypted.remaining() < recordBytes();
        } while (!isFull && needsWrap(plain));
        encrypted.flip();
        while (encrypted.hasRemaining()) {
          channel.write(encrypted);
        }
      } while (needsWrap(plain));
    } finally {
      giveBack(encrypted);
      writing.unlock();
    }
  }

  private boolean needsWrap(ByteBuffer plain) {
    return plain.hasRemaining() || hasToAnswer();
  }

  private boolean hasToAnswer() {
    return engine.getHandshakeStatus() == SSLEngineResult.HandshakeStatus.NEED_WRAP;
  }

  private void wrap(ByteBuffer plain, ByteBuffer encrypted) throws SSLException {
    if (engine.wrap(plain, encrypted).getStatus() == SSLEngineResult.Status.CLOSED
        && plain.hasRemaining()) {
      throw new SSLException("closed");
    }
  }

  // ---- For those who write streams, who do not wait; the channel does not block any more ----

  /**
   * Takes as much of {@code plain} as can be sent by now, maybe nothing; once more while earlier
   * bytes are still on their way.
   */
  public void writeSome(ByteBuffer plain) throws IOException {
    writing.lock();
    try {
      if (!sendRest()) {
        return;
      }
      ByteBuffer encrypted = takeBuffer();
      do {
        encrypted.clear();
        wrap(plain, encrypted);
        channel.write(encrypted.flip());
      } while (plain.hasRemaining() && !encrypted.hasRemaining());
      if (encrypted.hasRemaining()) {
        unsent = ByteBuffer.allocate(encrypted.remaining()).put(encrypted).flip();
      }
      giveBack(encrypted);
    } finally {
      writing.unlock();
    }
  }

  private boolean sendRest() throws IOException {
    if (unsent.hasRemaining()) {
      channel.write(unsent);
      if (unsent.hasRemaining()) {
        return false;
      }
      unsent = NOTHING;
    }
    return true;
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
    append(encrypted.flip());
    while (hasRecord()) {
      if (!takeRecord(newBuffer())) {
        return false;
      }
    }
    return true;
  }

  // ---- What comes ----

  private void append(ByteBuffer more) {
    if (more.hasRemaining()) {
      received =
          ByteBuffer.allocate(received.remaining() + more.remaining())
              .put(received)
              .put(more)
              .flip();
    }
  }

  private boolean hasRecord() throws SSLException {
    if (received.remaining() < HEADER_BYTES) {
      return false;
    }
    int bytes = bytesOfRecord();
    if (bytes > MAX_RECORD_BYTES) {
      throw new SSLException("a record of " + bytes + " bytes");
    }
    return received.remaining() >= bytes;
  }

  private int bytesOfRecord() {
    return HEADER_BYTES + (received.getShort(received.position() + LENGTH_AT) & 0xffff);
  }

  /** For what is in the next record, which is less than the record. */
  private ByteBuffer newBuffer() {
    return ByteBuffer.allocate(bytesOfRecord());
  }

  /** Whether the client has not said that nothing follows. */
  private boolean takeRecord(ByteBuffer plain) throws SSLException {
    if (!hasToAnswer()) {
      newKeys = 0;
    }
    SSLEngineResult result = unwrap(plain);
    if (hasToAnswer() && result.bytesProduced() == 0) {
      newKeys++;
      if (newKeys > MAX_NEW_KEYS) {
        throw new SSLException("the client wants new keys again and again, and takes no answer");
      }
    }
    if (result.getHandshakeStatus() == SSLEngineResult.HandshakeStatus.NEED_TASK) {
      // TLS 1.2 has that, and clients have no use for it but to keep a processor busy.
      throw new SSLException("the client wants another handshake");
    }
    return result.getStatus() != SSLEngineResult.Status.CLOSED;
  }

  private SSLEngineResult unwrap(ByteBuffer plain) throws SSLException {
    SSLEngineResult result = engine.unwrap(received, plain);
    if (!received.hasRemaining()) {
      received = NOTHING;
    }
    return result;
  }

  // ---- Buffers ----

  /** A record of ours, at most. */
  private int recordBytes() {
    return engine.getSession().getPacketBufferSize();
  }

  /** Of two records, so that those of a handshake go out together. */
  private ByteBuffer takeBuffer() {
    ByteBuffer free = BUFFERS.poll();
    return free != null && free.capacity() >= 2 * recordBytes()
        ? free
        : ByteBuffer.allocate(2 * recordBytes());
  }

  private static void giveBack(ByteBuffer free) {
    // If there are enough, it is garbage.
    BUFFERS.offer(free);
  }

  // ---- The end ----

  /**
   * Says to the client that nothing follows. By any thread, if nobody writes any more; it waits for
   * a client that takes nothing only if the channel blocks.
   */
  public void close() {
    writing.lock();
    try {
      if (channel.isOpen() && sendRest()) {
        engine.closeOutbound();
        sendEnd();
      }
    } catch (IOException e) {
      // It has gone.
    } finally {
      writing.unlock();
    }
  }

  private void sendEnd() throws IOException {
    ByteBuffer encrypted = takeBuffer().clear();
    SSLEngineResult.Status status;
    do {
      status = engine.wrap(NOTHING.duplicate(), encrypted).getStatus();
    } while (status == SSLEngineResult.Status.OK && needsWrap(NOTHING));
    channel.write(encrypted.flip());
    giveBack(encrypted);
  }
}
