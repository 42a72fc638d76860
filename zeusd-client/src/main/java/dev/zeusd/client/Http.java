package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.io.Closeable;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.concurrent.TimeUnit;

/**
 * Requests to one daemon, from any thread. Connections are kept for the next request; one that the
 * daemon has closed meanwhile is replaced, without a word, where asking twice does no harm.
 */
final class Http implements AutoCloseable {
  private static final int MOST_IDLE = 4;
  private static final long LONGEST_IDLE_NANOS = TimeUnit.SECONDS.toNanos(60);

  private final ClientConfig config;

  // Guarded by this.
  private final Deque<HttpConnection> idle = new ArrayDeque<>();
  private final Set<HttpConnection> busy = new HashSet<>();
  private final Set<Opening> opening = new HashSet<>();
  private boolean closed;

  Http(ClientConfig config) {
    this.config = config;
  }

  ClientConfig config() {
    return config;
  }

  /** Whether a request may be sent twice if the first one got no answer. */
  enum Twice {
    HARMLESS,
    NEVER
  }

  /** A successful answer's status and text; every other one is an exception, but for devices'. */
  record Text(int status, String text) {
    JsonObject json() {
      return Json.object(text);
    }
  }

  /** Asks with GET. */
  Text get(Target target) {
    return exchange("GET", target, Map.of(), Twice.HARMLESS, timeoutMillis());
  }

  /** Asks with POST, for something that is the same if it is done twice. */
  Text post(Target target, Map<String, String> headers) {
    return exchange("POST", target, headers, Twice.HARMLESS, timeoutMillis());
  }

  /** Asks with POST, once. */
  Text postOnce(Target target, long moreMillis) {
    int millis = (int) Math.min(Integer.MAX_VALUE, timeoutMillis() + moreMillis);
    return exchange("POST", target, Map.of(), Twice.NEVER, millis);
  }

  int timeoutMillis() {
    return (int) config.timeout().toMillis();
  }

  private Text exchange(
      String method, Target target, Map<String, String> headers, Twice twice, int millis) {
    while (true) {
      HttpConnection kept = twice == Twice.HARMLESS ? takeIdle() : null;
      HttpConnection connection = kept == null ? open() : kept;
      try {
        HttpConnection.Answer answer =
            connection.exchange(method, target.text(), withToken(headers), millis);
        release(connection, answer.keepsAlive());
        return text(target, answer);
      } catch (IOException e) {
        release(connection, false);
        if (kept == null || e instanceof java.net.SocketTimeoutException) {
          throw unreachable(e);
        }
      }
    }
  }

  /** Null if none is idle. */
  private synchronized HttpConnection takeIdle() {
    HttpConnection connection = idle.pollLast();
    while (connection != null
        && System.nanoTime() - connection.idleSinceNanos() > LONGEST_IDLE_NANOS) {
      closeQuietly(connection);
      connection = idle.pollLast();
    }
    if (connection != null) {
      busy.add(connection);
    }
    return connection;
  }

  private HttpConnection open() {
    return open(new Opening());
  }

  /**
   * A connection of its own, for a stream; to be given back by {@link #release}. Closing {@code
   * begun}, or this, ends the attempt.
   */
  HttpConnection open(Opening begun) {
    begin(begun);
    try {
      HttpConnection connection = begun.with(new HttpConnection(config, begun));
      synchronized (this) {
        if (!closed) {
          busy.add(connection);
          return connection;
        }
      }
      closeQuietly(connection);
      throw isClosedAlready();
    } catch (IOException | java.nio.channels.UnresolvedAddressException e) {
      throw unreachable(e);
    } finally {
      synchronized (this) {
        opening.remove(begun);
      }
    }
  }

  private synchronized void begin(Opening begun) {
    if (closed) {
      throw isClosedAlready();
    }
    opening.add(begun);
  }

  private static ZeusdException isClosedAlready() {
    return ZeusdException.unreachable("this client is closed", null);
  }

  /** Whether nothing can be asked any more. */
  synchronized boolean isClosed() {
    return closed;
  }

  void release(HttpConnection connection, boolean keep) {
    synchronized (this) {
      busy.remove(connection);
      if (keep && !closed && idle.size() < MOST_IDLE) {
        idle.addLast(connection);
        return;
      }
    }
    closeQuietly(connection);
  }

  Map<String, String> withToken(Map<String, String> headers) {
    if (config.token().isEmpty()) {
      return headers;
    }
    Map<String, String> all = new HashMap<>(headers);
    all.put("Authorization", "Bearer " + config.token().get());
    return all;
  }

  private static Text text(Target target, HttpConnection.Answer answer) {
    String text = new String(answer.body(), StandardCharsets.UTF_8);
    if (answer.status() / 100 != 2 && !text.startsWith("{")) {
      throw refusal(answer.status(), target, text);
    }
    Text whole = new Text(answer.status(), text);
    if (answer.status() / 100 != 2 && !whole.json().containsKey("errors")) {
      throw refusal(answer.status(), target, text);
    }
    return whole;
  }

  /** What an answer with a status that is no success means. */
  static ZeusdException refusal(int status, Target target, String body) {
    String message = body.strip();
    if (message.startsWith("{")) {
      JsonObject json = Json.object(message);
      SortedMap<Integer, String> errors = Json.errors(json);
      if (!errors.isEmpty()) {
        return ZeusdException.ofDevices(status, target.deviceKind(), errors);
      }
      message = json.getString("error", message);
    }
    if (message.isEmpty() || message.startsWith("<")) {
      message = "status " + status;
    }
    return ZeusdException.refused(status, message);
  }

  /** In words that say what to do. */
  ZeusdException unreachable(Exception e) {
    if (isClosed()) {
      return isClosedAlready();
    }
    // One that has not answered in time may well be there.
    String what = e instanceof java.net.SocketTimeoutException ? "zeusd at " : "no zeusd at ";
    return ZeusdException.unreachable(what + config.endpoint() + ": " + reason(e), e);
  }

  private String reason(Exception e) {
    if (config.endpoint() instanceof Endpoint.Unix(var path)) {
      if (Files.notExists(path)) {
        return "there is no such socket; start zeusd serve, or say where it is with ZEUSD_SOCK_PATH"
            + " or ZEUSD_HOST_PORT";
      }
      if (e instanceof java.net.SocketException && !Files.isWritable(path)) {
        return "this user may not open the socket";
      }
    }
    return switch (e) {
      case java.net.UnknownHostException _, java.nio.channels.UnresolvedAddressException _ ->
          "there is no host of that name";
      case java.net.ConnectException _ -> "nothing listens there";
      case java.net.SocketTimeoutException _ ->
          "no answer within " + config.timeout().toMillis() + " ms";
      case javax.net.ssl.SSLException tls when config.endpoint() instanceof Endpoint.Tls at ->
          TlsTrouble.inWords(tls, at.host());
      case java.net.SocketException _ when config.endpoint() instanceof Endpoint.Tls ->
          TlsTrouble.afterwards(e.getMessage());
      default -> e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    };
  }

  private static void closeQuietly(Closeable connection) {
    try {
      connection.close();
    } catch (IOException e) {
      // It is gone in either case.
    }
  }

  /** Ends what is under way, too. */
  @Override
  public void close() {
    Set<Closeable> all;
    synchronized (this) {
      closed = true;
      all = new HashSet<>(busy);
      all.addAll(idle);
      all.addAll(opening);
      busy.clear();
      idle.clear();
    }
    all.forEach(Http::closeQuietly);
  }
}
