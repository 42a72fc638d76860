package dev.zeusd.client;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;

/** Server-sent events over a connection of their own. */
final class EventStream implements AutoCloseable {
  /** The daemon gives a sign of life each second. */
  private static final int SILENCE_MILLIS = 10_000;

  private final Http http;
  private final HttpConnection connection;
  private final BufferedReader lines;

  private EventStream(Http http, HttpConnection connection, BufferedReader lines) {
    this.http = http;
    this.connection = connection;
    this.lines = lines;
  }

  /**
   * Opens one.
   *
   * @throws ZeusdException if the daemon is not reached, or refuses
   */
  static EventStream open(Http http, Target target) {
    HttpConnection connection = http.open();
    boolean opened = false;
    try {
      HttpConnection.Head head =
          connection.begin(
              "GET",
              target.text(),
              http.withToken(Map.of("Accept", "text/event-stream")),
              http.timeoutMillis());
      if (head.status() != 200) {
        String body = new String(head.body().readNBytes(1 << 20), StandardCharsets.UTF_8);
        throw Http.refusal(head.status(), target, body);
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

  /** The data of the next event; waits for it. Empty when the daemon has ended the stream. */
  Optional<String> next() throws IOException {
    StringBuilder data = new StringBuilder();
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.startsWith("data:")) {
        data.append(data.isEmpty() ? "" : "\n").append(line.substring(5).strip());
      } else if (line.isEmpty() && !data.isEmpty()) {
        return Optional.of(data.toString());
      }
    }
    return Optional.empty();
  }

  /** Also ends, from another thread, a {@link #next} that waits. */
  @Override
  public void close() {
    http.release(connection, false);
  }
}
