package dev.zeusd.server.stream;

import dev.zeusd.server.connection.Client;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Where the bytes of a stream go, from its head on. Nothing here waits for the client, so that one
 * thread can serve all of them.
 *
 * <p>For one thread at a time.
 */
interface StreamSocket {
  /** That of a connection whose handler writes no more to it. */
  static StreamSocket of(Client client) throws IOException {
    return client.tls().isPresent()
        ? new TlsSocket(client.channel(), client.tls().get())
        : new PlainSocket(client.channel());
  }

  /**
   * Takes as much of {@code bytes} as can be sent by now, maybe nothing.
   *
   * @throws IOException if the client has gone
   */
  void write(ByteBuffer bytes) throws IOException;

  /**
   * Throws away what the client has sent, which has no meaning within a stream.
   *
   * @param discarded to read into
   * @return false if the client has gone
   */
  boolean discardInput(ByteBuffer discarded);
}
