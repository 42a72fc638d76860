package dev.zeusd.server.stream;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;

/** A connection without TLS: the bytes go to the channel as they are. */
final class PlainSocket implements StreamSocket {
  private final SocketChannel channel;

  PlainSocket(SocketChannel channel) throws IOException {
    this.channel = channel;
    channel.configureBlocking(false);
  }

  @Override
  public void write(ByteBuffer bytes) throws IOException {
    channel.write(bytes);
  }

  @Override
  public boolean discardInput(ByteBuffer discarded) {
    try {
      return channel.read(discarded.clear()) >= 0;
    } catch (IOException e) {
      // Closed or reset: the same to us.
      return false;
    }
  }
}
