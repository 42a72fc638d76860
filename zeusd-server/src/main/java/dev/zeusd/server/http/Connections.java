package dev.zeusd.server.http;

import static jdk.net.ExtendedSocketOptions.SO_PEERCRED;

import dev.zeusd.core.Node;
import dev.zeusd.server.Limits;
import io.helidon.common.socket.SocketOptions;
import io.helidon.http.HeaderValues;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.Filter;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;
import io.helidon.webserver.http.ServerRequest;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketOption;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Collections;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The connections that are open, and how long each may be what it is. Helidon keeps them to itself,
 * but hands each one to the socket options when it is accepted; that is how they come here.
 *
 * <p>A connection that has not sent a complete request for too long is closed, however many of its
 * bytes still drip in; so is one that does not take its answer. When no more can be accepted, the
 * one that has been idle longest makes room.
 */
public final class Connections implements SocketOptions, Filter {
  private static final System.Logger LOG = System.getLogger(Connections.class.getName());
  private static final int FORGET_THRESHOLD = 64;
  private static final int LOOKS_PER_LIMIT = 8;
  private static final long FREE_FILE_INTERVAL_MILLIS = 20;

  private final SocketOptions options = SocketOptions.builder().tcpNoDelay(true).build();
  private final Map<String, Connection> open = new ConcurrentHashMap<>();
  private final Node node;
  private final Limits limits;
  private int forgetAt;

  /** Null while there is nothing to watch. */
  private Thread watch;

  /** None yet; their requests ask the devices of {@code node}. */
  public Connections(Node node, Limits limits) {
    this.node = node;
    this.limits = limits;
    forgetAt = Math.min(FORGET_THRESHOLD, limits.connections());
  }

  /** Only one may write the answer to a request: whoever begins first. */
  private enum Answerer {
    NOBODY_YET,
    HANDLER,
    WATCH
  }

  private static final class Connection {
    final SocketChannel channel;

    /** When its request began or, in an odd number, since when it has had none. */
    private volatile long stateNanos = System.nanoTime() | 1;

    /** Its answer never ends; those who write it see to stuck clients. */
    private volatile boolean streams;

    /** Its request is a HEAD, whose answer has no body. */
    private volatile boolean isHead;

    /** Works on its requests. */
    private volatile Thread handler;

    /** Held by whoever begins to answer, and by the watch until it has answered. */
    private final ReentrantLock answering = new ReentrantLock();

    /** Who answers the present request. */
    private volatile Answerer answerer = Answerer.NOBODY_YET;

    Connection(SocketChannel channel) {
      this.channel = channel;
    }

    boolean hasRequest() {
      return (stateNanos & 1) == 0;
    }

    long ageNanos() {
      return System.nanoTime() - stateNanos;
    }

    void beginRequest() {
      handler = Thread.currentThread();
      answerer = Answerer.NOBODY_YET;
      stateNanos = System.nanoTime() & ~1;
    }

    void endRequest() {
      stateNanos = System.nanoTime() | 1;
    }

    /** For the handler, before the first byte of its answer. */
    void beginAnswer() {
      answering.lock();
      try {
        if (answerer == Answerer.WATCH) {
          throw new CloseConnectionException("it was answered for the handler, which took long");
        }
        answerer = Answerer.HANDLER;
      } finally {
        answering.unlock();
      }
    }

    /**
     * Says that a device does not answer, and closes; unless the handler comes back just now, and
     * answers by itself.
     *
     * @param requestNanos when the request began
     */
    void answerFor(long requestNanos, int gpuId) {
      if (answerer == Answerer.WATCH) {
        // What was said at the last look is not taken.
        close();
        return;
      }
      answering.lock();
      try {
        if (stateNanos == requestNanos && answerer == Answerer.NOBODY_YET) {
          answerer = Answerer.WATCH;
          channel.write(ByteBuffer.wrap(ErrorMapper.noAnswer(gpuId, isHead)));
          close();
        }
      } catch (IOException e) {
        close();
      } finally {
        answering.unlock();
      }
    }

    void close() {
      try {
        channel.close();
      } catch (IOException e) {
        // It is closed even so.
      }
    }
  }

  /** Around each request: refuses bodies, and tells the watch. */
  @Override
  public void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    Connection connection = connection(request);
    boolean hasBody = hasBody(request);
    connection.isHead = Routes.isHead(request);
    connection.beginRequest();
    response.beforeSend(connection::beginAnswer);
    try {
      if (hasBody) {
        response.header(HeaderValues.CONNECTION_CLOSE);
        ErrorMapper.send(
            request,
            response,
            Status.REQUEST_ENTITY_TOO_LARGE_413,
            WireJson.error(ErrorMapper.BODY_REFUSED));
        throw new CloseConnectionException("what comes next is the body");
      }
      chain.proceed();
    } finally {
      connection.endRequest();
    }
  }

  /** Reads an empty one to its end. */
  private static boolean hasBody(ServerRequest request) {
    if (!request.content().hasEntity()) {
      return false;
    }
    try {
      return request.content().inputStream().read() >= 0;
    } catch (IOException | RuntimeException e) {
      // More than nothing, or nothing that can be understood.
      return true;
    }
  }

  private Connection connection(ServerRequest request) {
    Connection connection = open.get(request.socketId());
    if (connection == null) {
      throw new CloseConnectionException("closed meanwhile");
    }
    return connection;
  }

  /** The channel of a request whose answer is a stream and may last for ever. */
  SocketChannel channelForStream(ServerRequest request) {
    Connection connection = connection(request);
    connection.streams = true;
    return connection.channel;
  }

  /** Who is at the other end: the user of a Unix socket's client, or a TCP address. */
  String peer(ServerRequest request) {
    try {
      SocketChannel channel = connection(request).channel;
      if (channel.supportedOptions().contains(SO_PEERCRED)) {
        return "local user " + channel.getOption(SO_PEERCRED).user().getName();
      }
      return request.remotePeer().host();
    } catch (IOException e) {
      return "unknown";
    }
  }

  /** Called by Helidon's accepting thread for every new connection. */
  @Override
  public void configureSocket(SocketChannel channel) {
    options.configureSocket(channel);
    Connection connection = new Connection(channel);
    // Helidon's own way to name a connection, as ServerRequest.socketId() shows it.
    String id = "0x" + HexFormat.of().toHexDigits(System.identityHashCode(channel));
    Connection namesake = open.put(id, connection);
    if (namesake != null && namesake.channel.isOpen()) {
      // One in a million; but then a stream could not tell which of the two is its own.
      namesake.close();
    }
    if (open.size() >= forgetAt) {
      forgetClosed();
      if (open.size() >= limits.connections()) {
        closeLongestIdle();
      }
      forgetAt = Math.min(Math.max(FORGET_THRESHOLD, 2 * open.size()), limits.connections());
    }
    watch();
    awaitFreeFile();
  }

  /**
   * Returns when another connection could be opened. Files may run out for other reasons than
   * connections, and Helidon's listener ends for good when it cannot accept one.
   */
  private void awaitFreeFile() {
    try {
      for (int attempt = 0; !canOpenSocket(); attempt++) {
        if (attempt == 0) {
          LOG.log(
              System.Logger.Level.WARNING,
              "no more files can be opened; idle connections are closed to make room");
        }
        closeLongestIdle();
        Thread.sleep(FREE_FILE_INTERVAL_MILLIS);
      }
    } catch (InterruptedException e) {
      // The listener stops.
      Thread.currentThread().interrupt();
    }
  }

  private static boolean canOpenSocket() {
    try (SocketChannel trial = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      return trial.isOpen();
    } catch (IOException e) {
      return false;
    }
  }

  private void forgetClosed() {
    open.values().removeIf(known -> !known.channel.isOpen());
  }

  private void closeLongestIdle() {
    open.values().stream()
        .filter(known -> known.channel.isOpen() && !known.hasRequest())
        .max(Comparator.comparingLong(Connection::ageNanos))
        .ifPresent(Connection::close);
  }

  private synchronized void watch() {
    if (watch == null) {
      watch = Thread.ofVirtual().name("connection watch").start(this::closeSlowOnes);
    }
  }

  /** Runs only while there are connections. */
  private void closeSlowOnes() {
    Duration shorter = Collections.min(List.of(limits.toSendRequest(), limits.toTakeAnswer()));
    try {
      do {
        Thread.sleep(shorter.dividedBy(LOOKS_PER_LIMIT));
        open.values().forEach(this::endIfTooSlow);
        forgetClosed();
      } while (!areAllGone());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private boolean isTooSlow(Connection connection) {
    long ageNanos = connection.ageNanos();
    return connection.hasRequest()
        ? ageNanos > limits.toTakeAnswer().toNanos() && !connection.streams
        : ageNanos > limits.toSendRequest().toNanos();
  }

  private void endIfTooSlow(Connection connection) {
    long sinceNanos = connection.stateNanos;
    if (!isTooSlow(connection)) {
      return;
    }
    Thread handler = connection.handler;
    // A handler that hangs in the driver cannot answer, so that is done here. The client may not
    // take it, and is not waited for.
    node.gpus().stream()
        .filter(gpu -> connection.hasRequest() && gpu.isAskedBy(handler))
        .findFirst()
        .ifPresentOrElse(
            gpu -> Thread.ofVirtual().start(() -> connection.answerFor(sinceNanos, gpu.id())),
            connection::close);
  }

  /** Ends them all. */
  public void closeAll() {
    open.values().forEach(Connection::close);
  }

  private synchronized boolean areAllGone() {
    if (open.isEmpty()) {
      watch = null;
    }
    return watch == null;
  }

  @Override
  public synchronized void afterStop() {
    if (watch != null) {
      watch.interrupt();
    }
  }

  @Override
  public void configureSocket(Socket socket) {
    options.configureSocket(socket);
  }

  @Override
  public Map<SocketOption<?>, Object> socketOptions() {
    return options.socketOptions();
  }

  @Override
  public Duration connectTimeout() {
    return options.connectTimeout();
  }

  @Override
  public Duration readTimeout() {
    return options.readTimeout();
  }

  @Override
  public Optional<Integer> socketReceiveBufferSize() {
    return options.socketReceiveBufferSize();
  }

  @Override
  public Optional<Integer> socketSendBufferSize() {
    return options.socketSendBufferSize();
  }

  @Override
  public boolean socketReuseAddress() {
    return options.socketReuseAddress();
  }

  @Override
  public boolean socketKeepAlive() {
    return options.socketKeepAlive();
  }

  @Override
  public boolean tcpNoDelay() {
    return options.tcpNoDelay();
  }
}
