package dev.zeusd.server.http;

import io.helidon.common.buffers.BufferData;
import io.helidon.http.DateTime;
import io.helidon.http.Header;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.Headers;
import io.helidon.http.Status;
import io.helidon.http.WritableHeaders;
import io.helidon.webserver.http.ServerResponse;
import java.nio.charset.StandardCharsets;

/** The bytes before the body of a response that Helidon does not write. */
public final class ResponseHead {
  private static final int USUAL_BYTES = 512;

  /** No cache may keep it, and no proxy hold it back to compress it. */
  private static final Header NOT_TRANSFORMED =
      HeaderValues.create(HeaderNames.CACHE_CONTROL, "no-cache, no-transform");

  /** To nginx, which would collect some kilobytes before it passes anything on. */
  private static final Header NOT_BUFFERED = HeaderValues.create("X-Accel-Buffering", "no");

  private ResponseHead() {}

  /** Status line, {@code Date}, these headers and the empty line. */
  static byte[] of(Status status, Headers headers) {
    String start = "HTTP/1.1 " + status.code() + " " + status.reasonPhrase() + "\r\nDate: ";
    BufferData head = BufferData.growing(USUAL_BYTES);
    head.write(start.getBytes(StandardCharsets.US_ASCII));
    head.write(DateTime.http1Bytes());
    headers.forEach(header -> header.writeHttp1Header(head));
    head.write('\r');
    head.write('\n');
    return head.readBytes();
  }

  /**
   * That of a stream of server-sent events, after which the connection is closed.
   *
   * @param response has the headers that the stream has besides
   * @param chunked whether the body is
   */
  public static byte[] ofEvents(ServerResponse response, boolean chunked) {
    WritableHeaders<?> headers = WritableHeaders.create(response.headers());
    headers.set(HeaderValues.CONTENT_TYPE_EVENT_STREAM).set(NOT_TRANSFORMED).set(NOT_BUFFERED);
    // Whatever the client sends from here on is thrown away, so nothing can follow.
    headers.set(HeaderValues.CONNECTION_CLOSE);
    if (chunked) {
      headers.set(HeaderValues.TRANSFER_ENCODING_CHUNKED);
    }
    return of(Status.OK_200, headers);
  }
}
