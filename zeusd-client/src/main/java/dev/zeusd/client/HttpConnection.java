package dev.zeusd.client;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.ProtocolException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;

/**
 * One connection that speaks HTTP/1.1, one request at a time.
 *
 * <p>Written here because no library that is kept well costs less: the JDK's own client knows no
 * Unix sockets, and those that do take an eighth of a second and more to begin with, which every
 * {@code zeusd run} would have to wait for.
 */
final class HttpConnection implements Closeable {
  private static final int MAX_HEAD_BYTES = 64 << 10;
  private static final int MAX_BODY_BYTES = 64 << 20;

  private final Wire wire;
  private final InputStream in;
  private final String hostHeader;
  private long idleSinceNanos = System.nanoTime();

  /** Connects; closing {@code opening} ends that. */
  HttpConnection(ClientConfig config, Opening opening) throws IOException {
    wire = Wire.open(config, opening);
    in = new BufferedInputStream(wire.in(), 8192);
    hostHeader =
        switch (config.endpoint()) {
          case Endpoint.Unix _ -> "localhost";
          case Endpoint.Tcp tcp -> tcp.toString();
          case Endpoint.Tls(String host, int port) -> new Endpoint.Tcp(host, port).toString();
        };
  }

  /** An answer whose body is still to be read. */
  record Head(int status, Map<String, String> headers, InputStream body, boolean keepsAlive) {}

  /** An answer. */
  record Answer(int status, Map<String, String> headers, byte[] body, boolean keepsAlive) {}

  /** Sends a request and reads the head of its answer. */
  Head begin(String method, String target, Map<String, String> headers, int timeoutMillis)
      throws IOException {
    wire.readTimeout(timeoutMillis);
    StringBuilder request = new StringBuilder(method).append(' ').append(target);
    request.append(" HTTP/1.1\r\nHost: ").append(hostHeader).append("\r\n");
    headers.forEach(
        (name, value) -> request.append(name).append(": ").append(value).append("\r\n"));
    wire.out().write(request.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1));
    wire.out().flush();
    return readHead();
  }

  /** The same, with the whole answer. */
  Answer exchange(String method, String target, Map<String, String> headers, int timeoutMillis)
      throws IOException {
    Head head = begin(method, target, headers, timeoutMillis);
    byte[] body = head.body().readNBytes(MAX_BODY_BYTES + 1);
    if (body.length > MAX_BODY_BYTES) {
      // What is left of it would be taken for the next answer.
      throw new ProtocolException("the answer is too long");
    }
    idleSinceNanos = System.nanoTime();
    return new Answer(head.status(), head.headers(), body, head.keepsAlive());
  }

  long idleSinceNanos() {
    return idleSinceNanos;
  }

  /** How long the rest of an answer may let wait for its next byte. */
  void readTimeout(int millis) throws IOException {
    wire.readTimeout(millis);
  }

  private Head readHead() throws IOException {
    int[] left = {MAX_HEAD_BYTES};
    while (true) {
      String statusLine = readLine(left);
      if (!statusLine.matches("HTTP/1\\.[01] \\d{3}( .*)?")) {
        throw new ProtocolException("what answers is no daemon: it does not speak HTTP/1.1");
      }
      int status = Integer.parseInt(statusLine.substring(9, 12));
      Map<String, String> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
      for (String line = readLine(left); !line.isEmpty(); line = readLine(left)) {
        int colon = line.indexOf(':');
        if (colon > 0) {
          headers.put(line.substring(0, colon), line.substring(colon + 1).strip());
        }
      }
      if (status >= 200) {
        return head(status, headers, statusLine.startsWith("HTTP/1.1"));
      }
      // 1xx: the answer itself follows.
    }
  }

  private Head head(int status, Map<String, String> headers, boolean isHttp11)
      throws ProtocolException {
    boolean chunked = "chunked".equalsIgnoreCase(headers.get("Transfer-Encoding"));
    String length = headers.get("Content-Length");
    InputStream body;
    if (chunked) {
      body = new HttpBody.Chunked(in);
    } else if (length != null) {
      body = new HttpBody.OfLength(in, parseLength(length));
    } else {
      body = status == 204 || status == 304 ? InputStream.nullInputStream() : in;
    }
    boolean ends = "close".equalsIgnoreCase(headers.get("Connection")) || body == in || !isHttp11;
    return new Head(status, headers, body, !ends);
  }

  private static long parseLength(String text) throws ProtocolException {
    if (!text.matches("\\d{1,18}")) {
      throw new ProtocolException("a length of '" + text + "'");
    }
    return Long.parseLong(text);
  }

  private String readLine(int[] left) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new EOFException("the connection was closed before an answer");
      }
      if (left[0]-- == 0) {
        throw new ProtocolException("the head of the answer is too long");
      }
      line.write(b);
    }
    String text = line.toString(StandardCharsets.ISO_8859_1);
    return text.endsWith("\r") ? text.substring(0, text.length() - 1) : text;
  }

  @Override
  public void close() throws IOException {
    wire.close();
  }
}
