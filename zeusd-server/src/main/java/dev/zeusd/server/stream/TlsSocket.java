package dev.zeusd.server.stream;

import dev.zeusd.server.connection.TlsChannel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;

/** A connection with TLS: the bytes are encrypted for each client, since each has its own keys. */
final class TlsSocket implements StreamSocket {
  private final TlsChannel tls;

  TlsSocket(SocketChannel channel, TlsChannel tls) throws IOException {
    this.tls = tls;
    channel.configureBlocking(false);
  }

  @Override
  public void write(ByteBuffer bytes) throws IOException {
    tls.writeSome(bytes);
  }

  @Override
  public boolean discardInput(ByteBuffer discarded) {
    try {
      return tls.discardInput(discarded);
    } catch (IOException e) {
      // Closed, reset, or not what it should be: the same to us.
      return false;
    }
  }
}
