package dev.zeusd.server.connection;

import java.nio.ByteBuffer;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLException;

/**
 * What comes from the client: records of TLS in, plain bytes out. An idle one keeps no buffer.
 *
 * <p>For one thread at a time.
 */
final class TlsInput {
  /** RFC 8446, 5.1: type, version, length. */
  private static final int HEADER_BYTES = 5;

  private static final int LENGTH_AT = 3;
  private static final byte HANDSHAKE = 0x16;

  /** What a record may have at most (RFC 5246, 6.2.3). */
  private static final int MAX_RECORD_BYTES = HEADER_BYTES + (1 << 14) + 2048;

  /** More than any client wants that is well; each takes some 3 kB until it is answered. */
  private static final int MAX_NEW_KEYS = 16;

  private final SSLEngine engine;
  private ByteBuffer received = TlsOutput.NOTHING;

  /** How often the client has wanted new keys since it was last answered. */
  private int newKeys;

  TlsInput(SSLEngine engine) {
    this.engine = engine;
  }

  /** Whether what has come, a byte at least, is the beginning of a handshake. */
  boolean beginsWithHandshake() {
    return received.get(received.position()) == HANDSHAKE;
  }

  /** Takes a copy of encrypted bytes. */
  void append(ByteBuffer more) {
    if (more.hasRemaining()) {
      received =
          ByteBuffer.allocate(received.remaining() + more.remaining())
              .put(received)
              .put(more)
              .flip();
    }
  }

  /**
   * Whether a whole record has come.
   *
   * @throws SSLException if it is longer than any
   */
  boolean hasRecord() throws SSLException {
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
  ByteBuffer newBuffer() {
    return ByteBuffer.allocate(bytesOfRecord());
  }

  /**
   * Decrypts the next record of a handshake.
   *
   * @throws SSLException if the client ends it, or it is not as it should be
   */
  void takeHandshakeRecord() throws SSLException {
    if (unwrap(newBuffer()).getStatus() == SSLEngineResult.Status.CLOSED) {
      throw new SSLException("the client has ended the handshake");
    }
  }

  /**
   * Decrypts the next record after the handshake.
   *
   * @return whether it is not the one that says that nothing follows
   * @throws SSLException if it is not as it should be
   */
  boolean takeRecord(ByteBuffer plain) throws SSLException {
    if (!TlsOutput.hasToAnswer(engine)) {
      newKeys = 0;
    }
    SSLEngineResult result = unwrap(plain);
    if (TlsOutput.hasToAnswer(engine) && result.bytesProduced() == 0) {
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
      received = TlsOutput.NOTHING;
    }
    return result;
  }
}
