package dev.zeusd.client;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * A Unix socket with timeouts, which the JDK's blocking one has not: a selector waits instead, for
 * as long as is wanted.
 */
final class UnixWire implements Wire {
  private static final long FULL_QUEUE_PAUSE_MILLIS = 10;

  private final SocketChannel channel;
  private final Selector selector;
  private final SelectionKey key;
  private volatile int readTimeoutMillis;

  private UnixWire(SocketChannel channel, Selector selector, int readTimeoutMillis)
      throws IOException {
    this.channel = channel;
    this.selector = selector;
    this.readTimeoutMillis = readTimeoutMillis;
    key = channel.register(selector, SelectionKey.OP_READ);
  }

  static UnixWire open(Path path, int timeoutMillis, Opening opening) throws IOException {
    SocketChannel channel = connect(path, timeoutMillis, opening);
    try {
      return new UnixWire(channel, Selector.open(), timeoutMillis);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /**
   * Connects without blocking, since nothing limits how long a blocking connect waits for a daemon
   * that does not take connections any more.
   */
  private static SocketChannel connect(Path path, int timeoutMillis, Opening opening)
      throws IOException {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMillis);
    do {
      SocketChannel channel = opening.with(SocketChannel.open(StandardProtocolFamily.UNIX));
      try {
        channel.configureBlocking(false);
        if (channel.connect(UnixDomainSocketAddress.of(path))) {
          return channel;
        }
        channel.close();
      } catch (IOException | RuntimeException e) {
        channel.close();
        if (!isFull(path, e)) {
          throw e;
        }
      }
      // The kernel tells nobody when there is room again.
      pause();
    } while (System.nanoTime() - deadline < 0);
    throw timedOut(timeoutMillis);
  }

  /** Whether too many wait already to be taken: what no other reason explains, as Java tells it. */
  private static boolean isFull(Path path, Exception failure) {
    return failure instanceof SocketException
        && !(failure instanceof ConnectException)
        && Files.isWritable(path);
  }

  private static void pause() throws InterruptedIOException {
    try {
      Thread.sleep(FULL_QUEUE_PAUSE_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted");
    }
  }

  private static SocketTimeoutException timedOut(int millis) {
    return new SocketTimeoutException("no answer within " + millis + " ms");
  }

  @Override
  public void readTimeout(int millis) {
    readTimeoutMillis = millis;
  }

  @Override
  public InputStream in() {
    return new InputStream() {
      @Override
      public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
      }

      @Override
      public int read(byte[] bytes, int offset, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes, offset, length);
        long deadline = deadline();
        int count;
        while ((count = channel.read(buffer)) == 0 && length > 0) {
          await(SelectionKey.OP_READ, deadline);
        }
        return count;
      }
    };
  }

  @Override
  public OutputStream out() {
    return new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
      }

      @Override
      public void write(byte[] bytes, int offset, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes, offset, length);
        long deadline = deadline();
        while (buffer.hasRemaining()) {
          if (channel.write(buffer) == 0) {
            await(SelectionKey.OP_WRITE, deadline);
          }
        }
      }
    };
  }

  private long deadline() {
    return System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(readTimeoutMillis);
  }

  private void await(int operation, long deadline) throws IOException {
    long millis = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
    if (millis <= 0) {
      throw timedOut(readTimeoutMillis);
    }
    try {
      key.interestOps(operation);
      selector.select(millis);
      selector.selectedKeys().clear();
    } catch (ClosedSelectorException | java.nio.channels.CancelledKeyException e) {
      throw new IOException("closed", e);
    }
    if (Thread.interrupted()) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted");
    }
  }

  @Override
  public void close() throws IOException {
    try (selector;
        channel) {
      // Both, also if one fails; the selector first, which lets go of the channel.
      selector.wakeup();
    }
  }
}
