package dev.zeusd.server.connection;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.Queue;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.locks.ReentrantLock;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLException;

/**
 * What goes to the client: plain bytes in, records of TLS out. An idle one keeps no buffer.
 *
 * <p>Thread-safe.
 */
final class TlsOutput {
  static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

  /** For what is being encrypted at this moment: as many as there are threads at it, and some. */
  private static final Queue<ByteBuffer> BUFFERS =
      new ArrayBlockingQueue<>(4 * Runtime.getRuntime().availableProcessors());

  private final SocketChannel channel;
  private final SSLEngine engine;
  private final ReentrantLock writing = new ReentrantLock();

  /** What {@link #writeSome} has encrypted, and the client has not taken; guarded by the lock. */
  private ByteBuffer unsent = NOTHING;

  TlsOutput(SocketChannel channel, SSLEngine engine) {
    this.channel = channel;
    this.engine = engine;
  }

  /** Sends all of {@code plain}, and what the handshake has to say; the channel blocks. */
  void write(ByteBuffer plain) throws IOException {
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
    return plain.hasRemaining() || hasToAnswer(engine);
  }

  /** Whether the client waits for what only TLS itself says. */
  static boolean hasToAnswer(SSLEngine engine) {
    return engine.getHandshakeStatus() == SSLEngineResult.HandshakeStatus.NEED_WRAP;
  }

  private void wrap(ByteBuffer plain, ByteBuffer encrypted) throws SSLException {
    if (engine.wrap(plain, encrypted).getStatus() == SSLEngineResult.Status.CLOSED
        && plain.hasRemaining()) {
      throw new SSLException("closed");
    }
  }

  /**
   * Takes as much of {@code plain} as can be sent by now, maybe nothing; once more while earlier
   * bytes are still on their way. The channel does not block.
   */
  void writeSome(ByteBuffer plain) throws IOException {
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

  /** Says that nothing follows; waits for the client only if the channel blocks. */
  void close() {
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
    } while (status == SSLEngineResult.Status.OK && hasToAnswer(engine));
    channel.write(encrypted.flip());
    giveBack(encrypted);
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
}
