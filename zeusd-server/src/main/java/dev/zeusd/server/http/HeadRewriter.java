package dev.zeusd.server.http;

import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import java.util.Locale;
import java.util.Optional;

/**
 * The lines of requests, one after the other, in the one form of HTTP/1.1 that Helidon reads:
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
 * dropped beyond a head's size, which nobody sends but who wants to keep a processor busy. It
 * relies on there being no bodies but empty ones: whatever else is refused closes the connection.
 */
final class HeadRewriter {
  /** A header of requests that came as HTTP/1.0; one that a client sends is dropped. */
  static final HeaderName VERSION = HeaderNames.create("Zeusd-Http-Version");

  static final String HTTP_1_1 = " HTTP/1.1\r\n";
  private static final String HTTP_1_0 = " HTTP/1.0\r\n";
  private static final String MARK = VERSION.defaultCase() + ": 1.0\r\n";
  private static final String HOST = "Host: localhost\r\n";

  private enum Place {
    BEFORE_REQUEST,
    HEADERS,
    BODY,
    TRAILERS,
    /** In something that is not HTTP, or too long. */
    LOST
  }

  private final int maxDroppedBytes;
  private Place place = Place.BEFORE_REQUEST;

  /** Since the last request line. */
  private int droppedBytes;

  // Of the head that is being read.

  private boolean isHttp10;
  private boolean hasHost;
  private boolean isChunked;

  /** The header line that takes the place of the client's, if the target is in absolute form. */
  private Optional<String> hostOfTarget = Optional.empty();

  HeadRewriter(int maxDroppedBytes) {
    this.maxDroppedBytes = maxDroppedBytes;
  }

  boolean isBeforeRequest() {
    return place == Place.BEFORE_REQUEST;
  }

  /** Whether all that follows is passed on as it is. */
  boolean isLost() {
    return place == Place.LOST;
  }

  void giveUp() {
    place = Place.LOST;
  }

  /**
   * What goes on in place of a line.
   *
   * @param line with its end; each byte a char: what is not ASCII is passed on as it came
   */
  String rewrite(String line) {
    boolean isEmpty = line.equals("\r\n");
    return switch (place) {
      case BEFORE_REQUEST -> isEmpty || line.equals("\n") ? drop(line) : requestLine(line);
      case HEADERS -> isEmpty ? endOfHead() : header(line);
      case BODY -> chunkSize(line);
      case TRAILERS -> isEmpty ? endOfTrailers(line) : drop(line);
      case LOST -> line;
    };
  }

  private String drop(String line) {
    droppedBytes += line.length();
    if (droppedBytes <= maxDroppedBytes) {
      return "";
    }
    giveUp();
    return line;
  }

  private String requestLine(String line) {
    place = Place.HEADERS;
    droppedBytes = 0;
    hasHost = false;
    isChunked = false;
    hostOfTarget = Optional.empty();
    isHttp10 = line.endsWith(HTTP_1_0);
    int target = line.indexOf(' ') + 1;
    return isHttp10
        ? inOriginForm(line.substring(0, line.length() - HTTP_1_0.length()), target)
            + HTTP_1_1
            + MARK
        : inOriginForm(line, target);
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

  private String header(String line) {
    int colon = line.indexOf(':');
    String name = colon < 0 ? "" : line.substring(0, colon).toLowerCase(Locale.ROOT);
    hasHost |= name.equals("host");
    isChunked |= name.equals("transfer-encoding");
    return switch (name) {
      case "host" -> hostOfTarget.orElseGet(() -> host(line, colon));
      case "zeusd-http-version" -> drop(line);
      default -> line;
    };
  }

  private static String host(String line, int colon) {
    String value = line.substring(colon + 1).strip();
    if (value.isEmpty()) {
      return HOST;
    }
    return value.endsWith(":") ? "Host: " + value.substring(0, value.length() - 1) + "\r\n" : line;
  }

  private String endOfHead() {
    place = isChunked ? Place.BODY : Place.BEFORE_REQUEST;
    return isHttp10 && !hasHost ? hostOfTarget.orElse(HOST) + "\r\n" : "\r\n";
  }

  /** Only that of the last chunk is what goes on. */
  private String chunkSize(String line) {
    int end = 0;
    while (end < line.length() && line.charAt(end) == '0') {
      end++;
    }
    boolean isLast = end > 0 && ";\r \t".indexOf(line.charAt(end)) >= 0 && line.endsWith("\r\n");
    place = isLast ? Place.TRAILERS : Place.LOST;
    return isLast ? "0\r\n" : line;
  }

  private String endOfTrailers(String line) {
    place = Place.BEFORE_REQUEST;
    return line;
  }
}
