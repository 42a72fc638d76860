package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;
import io.helidon.common.socket.SocketOptions;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;

/**
 * The connections that are open. When there are as many as there may be, one of the peer with the
 * most makes room for the next: one whose client takes nothing of its answer, else the one that has
 * been idle longest, else the oldest.
 */
public final class ConnectionRegistry {
  private static final System.Logger LOG = System.getLogger(ConnectionRegistry.class.getName());
  private static final int FORGET_THRESHOLD = 64;
  private static final int ADDED_AT_A_TIME = 32;
  private static final Duration HANDLERS_LIMIT = Duration.ofSeconds(1);
  private static final long FREE_FILE_INTERVAL_MILLIS = 20;
  private static final long INTERVAL_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
  private static final int CANDIDATES_PART = 64;
  private static final long CANDIDATES_LIFETIME_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private final Map<String, Connection> open = new ConcurrentHashMap<>();
  private final Limits limits;
  private final Shares shares;
  private final boolean tokensAreKnown;
  private final SlowConnections watch;

  private final AtomicInteger answering = new AtomicInteger();
  private final AtomicLong forgotNanos = new AtomicLong(System.nanoTime());
  private final AtomicLong endedStuckNanos = new AtomicLong(System.nanoTime());

  // Of the accepting thread only.

  private int forgetAt = FORGET_THRESHOLD;
  private int added;

  /**
   * Those that may go next, while there are so many newcomers that looking for each is too much.
   */
  private final Deque<Candidate> next = new ArrayDeque<>();

  private long lookedNanos;

  /**
   * None yet.
   *
   * @param tokensAreKnown whether peers can show tokens
   * @param watch gets them all, and ends those that are too slow
   */
  public ConnectionRegistry(
      Limits limits, Shares shares, boolean tokensAreKnown, SlowConnections watch) {
    this.limits = limits;
    this.shares = shares;
    this.tokensAreKnown = tokensAreKnown;
    this.watch = watch;
  }

  /** To be given to Helidon's listener, which brings its connections here. */
  public SocketOptions socketOptions() {
    return new AcceptHook(SocketOptions.builder().tcpNoDelay(true).build(), this::add);
  }

  /**
   * An open connection.
   *
   * @param id Helidon's own name of it, as ServerRequest.socketId() shows it
   */
  public Optional<Connection> find(String id) {
    return Optional.ofNullable(open.get(id));
  }

  /** Counts a stream, as {@link Shares} has it, and ends the one that makes room for it. */
  public void openStream(Connection connection) {
    shares.openStream(connection).ifPresent(Connection::close);
  }

  /**
   * Returns when a request may go on, as {@link Shares#awaitTurn} has it, which need not be asked
   * while there are few connections.
   *
   * @param recognize finds out whose request it is, before that matters
   */
  public void awaitTurn(Connection connection, Runnable recognize) {
    boolean mayBeCrowd = open.size() > Limits.CROWD;
    if (mayBeCrowd) {
      atTimes(forgotNanos, this::forgetClosed);
    }
    if (mayBeCrowd || connection.isInALongRow()) {
      recognize.run();
      shares.awaitTurn(connection);
    }
  }

  /** Does something that looks at all connections, not too often. */
  private static void atTimes(AtomicLong lastNanos, Runnable action) {
    long last = lastNanos.get();
    long now = System.nanoTime();
    if (now - last > INTERVAL_NANOS && lastNanos.compareAndSet(last, now)) {
      action.run();
    }
  }

  /**
   * An answer is complete and is written from now on.
   *
   * @return false if nothing may be written any more
   */
  public boolean beginAnswer(Connection connection) {
    if (answering.get() > limits.connections() / Limits.STUCK_PART) {
      atTimes(endedStuckNanos, this::endStuck);
    }
    return connection.beginAnswer();
  }

  /**
   * To write an answer takes microseconds. So if a great part of the connections is at it, most are
   * stuck, and what they hold takes memory that others need: they go before their time.
   */
  private void endStuck() {
    open.forEach(
        (id, connection) -> {
          if (connection.isStuckInAnswerFor(Limits.STUCK.toNanos())) {
            connection.close();
            forget(id, connection);
          }
        });
  }

  private void add(SocketChannel channel) {
    Connection connection = new Connection(channel, answering);
    String id = "0x" + HexFormat.of().toHexDigits(System.identityHashCode(channel));
    Connection namesake = open.put(id, connection);
    if (namesake != null) {
      // Long gone, but for one in a million; then a stream could not tell which is its own.
      namesake.close();
      shares.close(namesake);
    }
    if (open.size() > limits.connections()) {
      makeRoomFor(connection);
    } else if (open.size() >= forgetAt) {
      forgetClosed();
      forgetAt = Math.max(FORGET_THRESHOLD, 2 * open.size());
    }
    watch.start(this);
    awaitFreeFile(connection);
    added++;
    if (added % ADDED_AT_A_TIME == 0) {
      awaitHandlers();
    }
  }

  /** Ends them all. */
  public void closeAll() {
    open.values().forEach(Connection::close);
  }

  /** Rules have changed: ends those whose present answers they do not allow, and counts them. */
  public int endForbidden() {
    int ended = 0;
    for (Connection connection : open.values()) {
      ended += connection.endIfForbidden() ? 1 : 0;
    }
    return ended;
  }

  /** Those that are open, or were lately. */
  Collection<Connection> all() {
    return open.values();
  }

  void forgetClosed() {
    open.forEach(
        (id, connection) -> {
          if (!connection.isOpen()) {
            forget(id, connection);
          }
        });
  }

  private void forget(String id, Connection closed) {
    if (open.remove(id, closed)) {
      shares.close(closed);
    }
  }

  private void makeRoomFor(Connection newcomer) {
    if (!makeRoomWithNext(newcomer)) {
      forgetClosed();
      if (open.size() > limits.connections()) {
        next.clear();
        // Until now, it may not have mattered whose some of them are.
        open.values().forEach(shares::account);
        Optional<Account> most = shares.whoMakesRoomFor(newcomer, tokensAreKnown);
        next.addAll(leastMissed(other -> most.isPresent() && shares.account(other).equals(most)));
        lookedNanos = System.nanoTime();
        makeRoomWithNext(newcomer);
      }
    }
  }

  /** Whether there was one of those that were found lately, and nothing has changed about it. */
  private boolean makeRoomWithNext(Connection newcomer) {
    if (System.nanoTime() - lookedNanos > CANDIDATES_LIFETIME_NANOS) {
      return false;
    }
    Optional<Account> most = shares.whoMakesRoomFor(newcomer, tokensAreKnown);
    for (Candidate candidate = next.poll(); candidate != null; candidate = next.poll()) {
      Connection connection = candidate.connection();
      if (connection != newcomer
          && candidate.isUnchanged()
          && shares.account(connection).equals(most)) {
        end(candidate);
        return true;
      }
    }
    return false;
  }

  private void end(Candidate candidate) {
    candidate.connection().close();
    forget(candidate.id(), candidate.connection());
  }

  /** Some connections, those first whose end costs least. */
  private List<Candidate> leastMissed(Predicate<Connection> mayEnd) {
    return open.entrySet().stream()
        .filter(entry -> mayEnd.test(entry.getValue()))
        .map(entry -> Candidate.of(entry.getKey(), entry.getValue()))
        .sorted()
        .limit(Math.max(1, limits.connections() / CANDIDATES_PART))
        .toList();
  }

  /**
   * Returns when those that were accepted before have begun to run. The processors' threads serve a
   * source of work until it is empty; were it never, for all the connections that a crowd opens
   * anew, they would not come to look for others.
   */
  private void awaitHandlers() {
    try {
      // It stands behind them in the same line.
      Thread.ofVirtual().start(() -> {}).join(HANDLERS_LIMIT);
    } catch (InterruptedException e) {
      // The listener stops.
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Returns when another connection could be opened. Files may run out for other reasons than
   * connections, and Helidon's listener ends for good when it cannot accept one.
   */
  private void awaitFreeFile(Connection newcomer) {
    try {
      for (int attempt = 0; !canOpenSocket(); attempt++) {
        if (attempt == 0) {
          LOG.log(
              System.Logger.Level.WARNING,
              "no more files can be opened; idle connections are closed to make room");
        }
        leastMissed(other -> other != newcomer && other.isOpen()).stream()
            .filter(candidate -> candidate.loss() != Candidate.Loss.OF_WORK)
            .findFirst()
            .ifPresent(this::end);
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
}
