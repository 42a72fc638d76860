package dev.zeusd.server.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.helidon.common.buffers.DataReader;
import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * The bytes that a client sends, turned into what Helidon reads, which is HTTP/1.1 in one form
 * only. Line by line, as they come:
 *
 * <ul>
 *   <li>Empty lines before a request line are dropped, as RFC 9112, 2.2 asks for.
 *   <li>{@code HTTP/1.0} becomes {@code HTTP/1.1}, with the header {@link #VERSION} to tell, and
 *       with a {@code Host} if there is none.
 *   <li>A target in absolute form becomes a path, and its authority the {@code Host} (3.2.2).
 *   <li>An empty {@code Host} is none, and its port may be empty (RFC 3986, 3.2.3).
 *   <li>What may come with an empty chunked body, extensions and trailers, is dropped.
 * </ul>
 *
 * <p>What is not HTTP is passed on as it is, for Helidon to refuse; and so is what would have to be
 * dropped beyond a head's size, which nobody sends but who wants to keep a processor busy. Only the
 * beginning of TLS ends here: it may have no line, and each end would wait for the other. It relies
 * on there being no bodies but empty ones: whatever else is refused closes the connection.
 *
 * <p>Used by the connection's thread only.
 */
final class RequestHeads implements Supplier<byte[]> {
  /** A header of requests that came as HTTP/1.0; one that a client sends is dropped. */
  static final HeaderName VERSION = HeaderNames.create("Zeusd-Http-Version");

  private static final String MARK = VERSION.defaultCase() + ": 1.0\r\n";
  private static final String HTTP_1_0 = " HTTP/1.0\r\n";
  private static final String HTTP_1_1 = " HTTP/1.1\r\n";
  private static final String HOST = "Host: localhost\r\n";

  /** How TLS begins: a record of its handshake, of version 3.x. */
  private static final byte[] TLS_START = {0x16, 0x03};

  /**
   * Most requests have less. Of a thousand that came at once, those at the end may never be
   * answered, so they are not looked through with the first.
   */
  private static final int PIECE_BYTES = 1024;

  private static final int USUAL_BYTES = 512;
  private static final byte[] NOTHING = new byte[0];

  private enum Place {
    BEFORE_REQUEST,
    HEADERS,
    BODY,
    TRAILERS,
    /** In something that is not HTTP, or too long. */
    LOST
  }

  private final DataReader source;
  private final int maxLineBytes;
  private final Runnable onTls;

  // Most connections need neither.
  private final ByteArrayOutputStream line = new ByteArrayOutputStream(0);
  private ByteArrayOutputStream out = new ByteArrayOutputStream(0);
  private Place place = Place.BEFORE_REQUEST;

  /** Since the last request line. */
  private int droppedBytes;

  // Of the head that is being read.

  private boolean isHttp10;
  private boolean hasHost;
  private boolean isChunked;

  /** The header line that takes the place of the client's, if the target is in absolute form. */
  private Optional<String> hostOfTarget = Optional.empty();

  /**
   * Reads from {@code source}.
   *
   * @param maxLineBytes longer lines are passed on as they are
   * @param onTls called before this ends because the client begins with TLS
   */
  RequestHeads(DataReader source, int maxLineBytes, Runnable onTls) {
    this.source = source;
    this.maxLineBytes = maxLineBytes;
    this.onTls = onTls;
  }

  /** The next bytes for Helidon; null at the end. */
  @Override
  public byte[] get() {
    try {
      while (true) {
        source.ensureAvailable();
        byte[] bytes = source.readBytes(Math.min(source.available(), PIECE_BYTES));
        if (place == Place.LOST || isPlainHead(bytes)) {
          return bytes;
        }
        if (isTls(bytes)) {
          onTls.run();
          return null;
        }
        byte[] rewritten = take(bytes);
        if (rewritten.length > 0) {
          return rewritten;
        }
      }
    } catch (DataReader.InsufficientDataAvailableException e) {
      return null;
    }
  }

  /**
   * Whether these are one whole head in which nothing is to be changed, as most blocks are: a
   * shortcut past the rest.
   */
  private boolean isPlainHead(byte[] bytes) {
    if (place != Place.BEFORE_REQUEST || line.size() > 0 || bytes.length < 4 || bytes[0] < 'A') {
      return false;
    }
    boolean isRequestLine = true;
    for (int start = 0, i = 0; i < bytes.length; i++) {
      if (bytes[i] != '\n') {
        continue;
      }
      if (isRequestLine) {
        String text = new String(bytes, 0, i + 1, ISO_8859_1);
        if (!text.endsWith(HTTP_1_1) || !text.startsWith("/", text.indexOf(' ') + 1)) {
          return false;
        }
        isRequestLine = false;
      } else if (i == start + 1 && bytes[start] == '\r') {
        return i + 1 == bytes.length;
      } else if ((bytes[start] | 0x20) == 't' || (bytes[start] | 0x20) == 'z') {
        // Maybe one of those that matter.
        return false;
      } else if ((bytes[start] | 0x20) == 'h' && i - start > 1 && isEmptyHostEnd(bytes[i - 2])) {
        // A Host without a name, or with a port that is empty.
        return false;
      }
      start = i + 1;
    }
    return false;
  }

  private static boolean isEmptyHostEnd(byte last) {
    return last == ':' || last == ' ' || last == '\t';
  }

  private boolean isTls(byte[] bytes) {
    return place == Place.BEFORE_REQUEST
        && line.size() == 0
        && bytes.length >= TLS_START.length
        && Arrays.equals(bytes, 0, TLS_START.length, TLS_START, 0, TLS_START.length);
  }

  private byte[] take(byte[] bytes) {
    int start = 0;
    for (int i = 0; i < bytes.length && place != Place.LOST; i++) {
      if (bytes[i] == '\n') {
        line.write(bytes, start, i + 1 - start);
        start = i + 1;
        endLine();
      }
    }
    line.write(bytes, start, bytes.length - start);
    if (place == Place.LOST || line.size() > maxLineBytes) {
      place = Place.LOST;
      out.writeBytes(line.toByteArray());
      line.reset();
    }
    if (out.size() == 0) {
      return NOTHING;
    }
    byte[] rewritten = out.toByteArray();
    if (rewritten.length > USUAL_BYTES) {
      // It has grown, and would stay so for as long as the connection lasts.
      out = new ByteArrayOutputStream(0);
    } else {
      out.reset();
    }
    return rewritten;
  }

  private void endLine() {
    // Each byte a char: what is not ASCII is passed on as it came.
    String text = line.toString(ISO_8859_1);
    line.reset();
    boolean empty = text.equals("\r\n");
    switch (place) {
      case BEFORE_REQUEST -> {
        if (empty || text.equals("\n")) {
          drop(text);
        } else {
          takeRequestLine(text);
        }
      }
      case HEADERS -> {
        if (empty) {
          endHead();
        } else {
          takeHeader(text);
        }
      }
      case BODY -> takeChunkSize(text);
      case TRAILERS -> {
        if (empty) {
          write(text);
          place = Place.BEFORE_REQUEST;
        } else {
          drop(text);
        }
      }
      case LOST -> write(text);
    }
  }

  private void write(String text) {
    out.writeBytes(text.getBytes(ISO_8859_1));
  }

  private void drop(String text) {
    droppedBytes += text.length();
    if (droppedBytes > maxLineBytes) {
      place = Place.LOST;
      write(text);
    }
  }

  private void takeRequestLine(String text) {
    droppedBytes = 0;
    isHttp10 = text.endsWith(HTTP_1_0);
    hasHost = false;
    isChunked = false;
    hostOfTarget = Optional.empty();
    int target = text.indexOf(' ') + 1;
    if (!isHttp10 && text.startsWith("/", target)) {
      write(text);
    } else {
      String withoutVersion =
          isHttp10 ? text.substring(0, text.length() - HTTP_1_0.length()) : text;
      write(inOriginForm(withoutVersion, target));
      if (isHttp10) {
        write(HTTP_1_1);
        write(MARK);
      }
    }
    place = Place.HEADERS;
  }

  private String inOriginForm(String requestLine, int target) {
    String scheme = "http://";
    if (!requestLine.regionMatches(true, target, scheme, 0, scheme.length())) {
      return requestLine;
    }
    int start = target + scheme.length();
    int end = start;
    while (end < requestLine.length() && "/?# \r".indexOf(requestLine.charAt(end)) < 0) {
      end++;
    }
    hostOfTarget = Optional.of("Host: " + requestLine.substring(start, end) + "\r\n");
    String slash = requestLine.startsWith("/", end) ? "" : "/";
    return requestLine.substring(0, target) + slash + requestLine.substring(end);
  }

  private void takeHeader(String text) {
    int colon = text.indexOf(':');
    String name = colon < 0 ? "" : text.substring(0, colon).toLowerCase(Locale.ROOT);
    switch (name) {
      case "host" -> {
        hasHost = true;
        write(hostOfTarget.orElseGet(() -> host(text, colon)));
      }
      case "transfer-encoding" -> {
        isChunked = true;
        write(text);
      }
      case "zeusd-http-version" -> drop(text);
      default -> write(text);
    }
  }

  private static String host(String text, int colon) {
    String value = text.substring(colon + 1).strip();
    if (value.isEmpty()) {
      return HOST;
    }
    return value.endsWith(":") ? "Host: " + value.substring(0, value.length() - 1) + "\r\n" : text;
  }

  private void endHead() {
    if (isHttp10 && !hasHost) {
      write(hostOfTarget.orElse(HOST));
    }
    write("\r\n");
    place = isChunked ? Place.BODY : Place.BEFORE_REQUEST;
  }

  /** Only that of the last chunk is what goes on. */
  private void takeChunkSize(String text) {
    int end = 0;
    while (end < text.length() && text.charAt(end) == '0') {
      end++;
    }
    boolean isLast = end > 0 && ";\r \t".indexOf(text.charAt(end)) >= 0 && text.endsWith("\r\n");
    write(isLast ? "0\r\n" : text);
    place = isLast ? Place.TRAILERS : Place.LOST;
  }
}
