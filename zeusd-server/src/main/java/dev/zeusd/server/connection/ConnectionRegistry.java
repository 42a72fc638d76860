package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;
import io.helidon.common.socket.SocketOptions;
import io.helidon.webserver.CloseConnectionException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;

/** The connections that are open. */
public final class ConnectionRegistry {
  private static final Duration GOODBYE = Duration.ofMillis(100);
  private static final long TIDY_INTERVAL_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  private static final int NEWCOMERS_TO_LOOK_AFTER = 32;

  private final Map<String, Connection> open = new ConcurrentHashMap<>();
  private final Limits limits;
  private final Shares shares;
  private final SlowConnections watch;

  /** Of {@link #open}, when it was last looked which are closed. */
  private volatile int openAtLastLook;

  private final AtomicLong tidiedNanos = new AtomicLong(System.nanoTime());

  /** None yet. */
  public ConnectionRegistry(Limits limits, Shares shares) {
    this.limits = limits;
    this.shares = shares;
    this.watch = new SlowConnections(limits);
  }

  /** To be given to Helidon's listener, which brings its connections here. */
  public SocketOptions socketOptions() {
    Newcomers newcomers = new Newcomers(this, limits, shares);
    return new AcceptHook(SocketOptions.builder().tcpNoDelay(true).build(), newcomers::accept);
  }

  /**
   * An open connection.
   *
   * @param id Helidon's own name of it, as ServerRequest.socketId() shows it
   * @throws CloseConnectionException if it is closed and forgotten
   */
  public Connection get(String id) {
    return Optional.ofNullable(open.get(id))
        .orElseThrow(() -> new CloseConnectionException("closed meanwhile"));
  }

  /**
   * Returns when a request may go on, as {@link Shares#awaitAdmission} has it, which need not be
   * asked while there are few connections.
   *
   * @param recognize finds out whose request it is, before that matters
   */
  public void awaitAdmission(Connection connection, Runnable recognize) {
    if (open.size() > Math.min(Limits.CROWD, limits.connections() / Limits.STUCK_PART)) {
      tidyAtTimes();
    }
    if (open.size() > Limits.CROWD || connection.isInALongRow()) {
      recognize.run();
      shares.awaitAdmission(connection);
    }
  }

  /**
   * Some time after the last look, or as soon as many have come since: a client with a new
   * connection for each request has hundreds in a moment, but one at a time.
   */
  private void tidyAtTimes() {
    long last = tidiedNanos.get();
    long now = System.nanoTime();
    boolean isDue =
        now - last > TIDY_INTERVAL_NANOS || open.size() - openAtLastLook >= NEWCOMERS_TO_LOOK_AFTER;
    if (isDue && tidiedNanos.compareAndSet(last, now)) {
      forgetClosed();
      endStuck();
    }
  }

  /**
   * To write an answer takes microseconds. So if a great part of the connections is at it, most are
   * stuck, and what they hold takes memory that others need: they go before their time.
   */
  private void endStuck() {
    int answering = 0;
    for (Connection connection : open.values()) {
      answering += connection.state() instanceof ConnectionState.Answering ? 1 : 0;
    }
    if (answering > limits.connections() / Limits.STUCK_PART) {
      for (Connection connection : open.values()) {
        ConnectionState state = connection.state();
        if (state instanceof ConnectionState.Answering
            && state.isStuckFor(Limits.STUCK.toNanos())) {
          end(connection);
        }
      }
    }
  }

  void add(Connection connection) {
    Connection namesake = open.put(connection.id, connection);
    if (namesake != null) {
      // Long gone, but for one in a million; then a stream could not tell which is its own.
      namesake.close();
      shares.close(namesake);
    }
    watch.start(this);
  }

  void end(Connection connection) {
    connection.close();
    forget(connection);
  }

  /**
   * Tells the clients of idle connections with TLS that nothing follows, so that they need not
   * think that somebody has cut them off.
   */
  public void sayGoodbye() {
    List<Thread> telling = new ArrayList<>();
    for (Connection connection : open.values()) {
      if (connection.client().tls().isPresent()) {
        // A client that takes nothing would keep all others waiting.
        telling.add(Thread.ofVirtual().start(connection::sayGoodbye));
      }
    }
    try {
      long deadline = System.nanoTime() + GOODBYE.toNanos();
      for (Thread each : telling) {
        each.join(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends them all. */
  public void closeAll() {
    open.values().forEach(Connection::close);
  }

  /** Ends the watch over slow ones. */
  public void stopWatch() {
    watch.stop();
  }

  /** Ends those that may not go on, and counts them. */
  public int endUnless(Predicate<Connection> mayGoOn) {
    int ended = 0;
    for (Connection connection : open.values()) {
      if (connection.isOpen() && !mayGoOn.test(connection)) {
        connection.close();
        ended++;
      }
    }
    return ended;
  }

  /** Those that are open, or were lately. */
  Collection<Connection> all() {
    return open.values();
  }

  void forgetClosed() {
    for (Connection connection : open.values()) {
      if (!connection.isOpen()) {
        forget(connection);
      }
    }
    openAtLastLook = open.size();
  }

  private void forget(Connection closed) {
    if (open.remove(closed.id, closed)) {
      shares.close(closed);
    }
  }
}
