package dev.zeusd.client;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ProtocolException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Server-sent events over a connection of their own. */
final class EventStream implements AutoCloseable {
  /** The daemon gives a sign of life each second. */
  private static final int SILENCE_MILLIS = 10_000;

  /** A hundred times what a snapshot of 64 GPUs takes: whoever sends more would fill the heap. */
  private static final int MAX_EVENT_CHARS = 1 << 18;

  private static final String MEDIA_TYPE = "text/event-stream";
  private static final char BYTE_ORDER_MARK = '\uFEFF';

  private final Http http;
  private final HttpConnection connection;
  private final BufferedReader text;
  private boolean hasBegun;
  private boolean lastWasCarriageReturn;

  private EventStream(Http http, HttpConnection connection, BufferedReader text) {
    this.http = http;
    this.connection = connection;
    this.text = text;
  }

  /**
   * Opens one; closing {@code opening} ends that.
   *
   * @throws ZeusdException if the daemon is not reached, or refuses
   */
  static EventStream open(Http http, Target target, Opening opening) {
    HttpConnection connection = http.open(opening);
    boolean opened = false;
    try {
      HttpConnection.Head head =
          connection.begin(
              "GET",
              target.text(),
              http.withToken(Map.of("Accept", MEDIA_TYPE)),
              http.timeoutMillis());
      if (head.status() != 200) {
        String body = new String(head.body().readNBytes(1 << 20), StandardCharsets.UTF_8);
        throw Http.refusal(head.status(), target, body);
      }
      if (!sendsEvents(head)) {
        throw ZeusdException.unreachable(
            "what answers at " + http.config().endpoint() + " is no daemon: it sends no events",
            null);
      }
      connection.readTimeout(SILENCE_MILLIS);
      opened = true;
      return new EventStream(
          http,
          connection,
          new BufferedReader(new InputStreamReader(head.body(), StandardCharsets.UTF_8)));
    } catch (IOException e) {
      throw http.unreachable(e);
    } finally {
      if (!opened) {
        http.release(connection, false);
      }
    }
  }

  /** A proxy that wants people to log in answers 200, too, with a page of its own. */
  private static boolean sendsEvents(HttpConnection.Head head) {
    String type = head.headers().getOrDefault("Content-Type", "");
    return type.toLowerCase(Locale.ROOT).startsWith(MEDIA_TYPE);
  }

  /**
   * The data of the next event; waits for it. Empty when the daemon has ended the stream.
   *
   * @throws IOException also if an event is far longer than any that a daemon sends
   */
  Optional<String> next() throws IOException {
    StringBuilder data = new StringBuilder();
    for (String line = readLine(); line != null; line = readLine()) {
      if (line.startsWith("data:")) {
        data.append(data.isEmpty() ? "" : "\n").append(line.substring(5).strip());
        requireSensible(data.length());
      } else if (line.isEmpty() && !data.isEmpty()) {
        return Optional.of(data.toString());
      }
    }
    return Optional.empty();
  }

  /** The next line, which may end in CR, in LF or in both; null at the end. */
  private String readLine() throws IOException {
    StringBuilder line = new StringBuilder();
    for (int next = text.read(); next >= 0; next = text.read()) {
      boolean isSkipped =
          lastWasCarriageReturn && next == '\n' || !hasBegun && next == BYTE_ORDER_MARK;
      hasBegun = true;
      lastWasCarriageReturn = next == '\r';
      if (isSkipped) {
        continue;
      }
      if (next == '\n' || next == '\r') {
        return line.toString();
      }
      line.append((char) next);
      requireSensible(line.length());
    }
    return null;
  }

  private static void requireSensible(int length) throws ProtocolException {
    if (length > MAX_EVENT_CHARS) {
      throw new ProtocolException("an event is too long");
    }
  }

  /** Also ends, from another thread, a {@link #next} that waits. */
  @Override
  public void close() {
    http.release(connection, false);
  }
}
