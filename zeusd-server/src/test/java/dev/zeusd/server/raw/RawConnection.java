package dev.zeusd.server.raw;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A client's end of a connection, which sends bytes as they are and forgives nothing in the
 * answers.
 *
 * <p>Every wait is bounded. Not thread-safe.
 */
public final class RawConnection implements AutoCloseable {
  /** How long a test waits for what has to come, on a busy machine. */
  public static final Duration PATIENCE = Duration.ofSeconds(60);

  private static final int MAX_LINE = 65536;

  private final SocketChannel channel;
  private final Selector selector;
  private final ByteBuffer received = ByteBuffer.allocate(65536).flip();
  private boolean ended;

  private RawConnection(SocketChannel channel) throws IOException {
    this.channel = channel;
    this.selector = Selector.open();
    channel.configureBlocking(false);
    channel.register(selector, SelectionKey.OP_READ);
  }

  /** Connects over TCP or to a Unix socket. */
  public static RawConnection open(SocketAddress address) throws IOException {
    return new RawConnection(SocketChannel.open(address));
  }

  /** Connects with a receive buffer that is soon full, for a client that does not read. */
  public static RawConnection openWithSmallBuffer(SocketAddress address) throws IOException {
    boolean unix = address instanceof UnixDomainSocketAddress;
    SocketChannel channel =
        SocketChannel.open(unix ? StandardProtocolFamily.UNIX : StandardProtocolFamily.INET);
    channel.setOption(StandardSocketOptions.SO_RCVBUF, 4096);
    channel.connect(address);
    return new RawConnection(channel);
  }

  /** A request without a body; headers are whole lines. */
  public static String request(String method, String target, String... headerLines) {
    StringBuilder request = new StringBuilder(method + " " + target + " HTTP/1.1\r\n");
    request.append("Host: localhost\r\n");
    for (String line : headerLines) {
      request.append(line).append("\r\n");
    }
    return request.append("\r\n").toString();
  }

  /** Sends each char as one byte. */
  public RawConnection send(String bytes) throws IOException {
    ByteBuffer out = ByteBuffer.wrap(bytes.getBytes(StandardCharsets.ISO_8859_1));
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (out.hasRemaining()) {
      if (channel.write(out) == 0) {
        assertTrue(System.nanoTime() < deadline, "the server takes no more bytes");
        Thread.onSpinWait();
      }
    }
    return this;
  }

  /** Sends nothing any more, but still reads. */
  public RawConnection endOutput() throws IOException {
    channel.shutdownOutput();
    return this;
  }

  /** Closes with a reset, where there is such a thing. */
  public void abort() throws IOException {
    if (channel.supportedOptions().contains(StandardSocketOptions.SO_LINGER)) {
      channel.setOption(StandardSocketOptions.SO_LINGER, 0);
    }
    close();
  }

  /** Sends a GET and reads its whole answer. */
  public RawResponse get(String target, String... headerLines) throws IOException {
    send(request("GET", target, headerLines));
    return readResponse();
  }

  /** The head of the stream that a request has asked for, and then the stream. */
  public EventStream readStream() throws IOException {
    return readStream(readHead());
  }

  /** The stream that follows this head. */
  public EventStream readStream(RawResponse head) {
    return new EventStream(this, head);
  }

  /** Opens a stream: sends the request and reads the head of the answer. */
  public EventStream stream(String target, String... headerLines) throws IOException {
    send(request("GET", target, headerLines));
    return readStream();
  }

  /** A whole answer to a request that was not HEAD. */
  public RawResponse readResponse() throws IOException {
    return readBody(readHead());
  }

  /** The same, with the body that follows it. */
  public RawResponse readBody(RawResponse head) throws IOException {
    if (!head.isChunked()) {
      return head.withBody(readBytes(Integer.parseInt(head.header("Content-Length"))));
    }
    assertFalse(head.hasHeader("Content-Length"), head::toString);
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    for (byte[] chunk = readChunk(PATIENCE); chunk.length > 0; chunk = readChunk(PATIENCE)) {
      body.writeBytes(chunk);
    }
    return head.withBody(body.toByteArray());
  }

  /** Status line and headers. */
  public RawResponse readHead() throws IOException {
    String statusLine = readLine(PATIENCE);
    List<String> headerLines = new ArrayList<>();
    for (String line = readLine(PATIENCE); !line.isEmpty(); line = readLine(PATIENCE)) {
      headerLines.add(line);
    }
    return RawResponse.parse(statusLine, headerLines);
  }

  /** The data of one chunk; empty for the last one, after which nothing follows. */
  public byte[] readChunk(Duration timeout) throws IOException {
    String size = readLine(timeout);
    assertTrue(size.matches("[0-9a-fA-F]{1,8}"), () -> "chunk size: '" + size + "'");
    byte[] data = readBytes(Integer.parseInt(size, 16));
    assertEquals("", readLine(PATIENCE), "a chunk ends with CR LF");
    return data;
  }

  /** What has come and is not yet read, after {@link #hasBytes}. */
  byte[] readAvailable() {
    byte[] bytes = new byte[received.remaining()];
    received.get(bytes);
    return bytes;
  }

  /** Whether the next bytes are there or come within {@code timeout}. */
  public boolean hasBytes(Duration timeout) throws IOException {
    return received.hasRemaining() || fill(System.nanoTime() + timeout.toNanos());
  }

  /** Nothing comes any more, and the server has closed its end. */
  public void assertEnd() throws IOException {
    assertFalse(hasBytes(PATIENCE), () -> "after the end: '" + printable() + "'");
    assertTrue(ended, "the connection is still open");
  }

  /** The connection is open, and nothing is left over from the answers so far. */
  public void assertIdle() throws IOException {
    assertFalse(hasBytes(Duration.ofMillis(30)), () -> "left over: '" + printable() + "'");
    assertFalse(ended, "the connection is closed");
  }

  /**
   * Reads until the server ends the connection, however it does so.
   *
   * @return the number of bytes
   */
  public long drain(Duration timeout) throws IOException {
    long deadline = System.nanoTime() + timeout.toNanos();
    long count = 0;
    try {
      while (received.hasRemaining() || fill(deadline)) {
        count += received.remaining();
        received.position(received.limit());
      }
    } catch (IOException e) {
      // Reset: ended as well.
      return count;
    }
    assertTrue(ended, "the connection is still open");
    return count;
  }

  /** All that comes until the server ends the connection. */
  public String readAll() throws IOException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    StringBuilder all = new StringBuilder();
    while (received.hasRemaining() || fill(deadline)) {
      all.append(printable());
      received.position(received.limit());
    }
    assertTrue(ended, "the connection is still open");
    return all.toString();
  }

  private String readLine(Duration timeout) throws IOException {
    long deadline = System.nanoTime() + timeout.toNanos();
    StringBuilder line = new StringBuilder();
    while (line.length() < MAX_LINE) {
      char c = (char) (readByte(deadline) & 0xff);
      if (c == '\r') {
        assertEquals('\n', readByte(deadline), () -> "CR without LF after '" + line + "'");
        return line.toString();
      }
      assertTrue(c >= ' ' || c == '\t', () -> "byte " + (int) c + " after '" + line + "'");
      line.append(c);
    }
    return fail("a line without an end: '" + line.substring(0, 100) + "…'");
  }

  private byte[] readBytes(int count) throws IOException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    byte[] bytes = new byte[count];
    for (int i = 0; i < count; i++) {
      bytes[i] = readByte(deadline);
    }
    return bytes;
  }

  private byte readByte(long deadline) throws IOException {
    if (!received.hasRemaining() && !fill(deadline)) {
      fail(ended ? "the server closed the connection" : "timeout: the server sends nothing");
    }
    return received.get();
  }

  private boolean fill(long deadline) throws IOException {
    while (!ended) {
      received.clear();
      int count = channel.read(received);
      received.flip();
      if (count > 0) {
        return true;
      }
      ended = count < 0;
      long leftMs = (deadline - System.nanoTime()) / 1_000_000;
      if (count == 0 && leftMs <= 0) {
        return false;
      }
      if (count == 0) {
        selector.select(leftMs);
        selector.selectedKeys().clear();
      }
    }
    return false;
  }

  private String printable() {
    return StandardCharsets.ISO_8859_1.decode(received.duplicate()).toString();
  }

  @Override
  public void close() throws IOException {
    selector.close();
    channel.close();
  }
}
