package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HexFormat;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Makes room for new connections. When there are as many as there may be, one of the peer with the
 * most goes: one whose client takes nothing of its answer, else the one that has been idle longest,
 * else the oldest.
 *
 * <p>For the thread that accepts connections.
 */
final class Newcomers {
  private static final System.Logger LOG = System.getLogger(Newcomers.class.getName());
  private static final int ACCEPTED_AT_A_TIME = 32;
  private static final Duration HANDLERS_LIMIT = Duration.ofSeconds(1);
  private static final long FREE_FILE_INTERVAL_MILLIS = 20;
  private static final int CANDIDATES_PART = 64;
  private static final long CANDIDATES_LIFETIME_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private final ConnectionRegistry registry;
  private final Limits limits;
  private final Shares shares;
  private int accepted;

  /**
   * Those that may go next, while there are so many newcomers that looking for each is too much.
   */
  private final Deque<Candidate> next = new ArrayDeque<>();

  private long lookedNanos;

  Newcomers(ConnectionRegistry registry, Limits limits, Shares shares) {
    this.registry = registry;
    this.limits = limits;
    this.shares = shares;
  }

  void accept(SocketChannel channel) {
    String id = "0x" + HexFormat.of().toHexDigits(System.identityHashCode(channel));
    Connection newcomer = new Connection(id, channel);
    registry.add(newcomer);
    if (isFull() && !makeRoomWithNext(newcomer)) {
      registry.forgetClosed();
      if (isFull()) {
        lookWhoMayGo(newcomer);
        makeRoomWithNext(newcomer);
      }
    }
    awaitFreeFile(newcomer);
    accepted++;
    if (accepted % ACCEPTED_AT_A_TIME == 0) {
      awaitHandlers();
    }
  }

  private boolean isFull() {
    return registry.all().size() > limits.connections();
  }

  private void lookWhoMayGo(Connection newcomer) {
    // Until now, it may not have mattered whose some of them are.
    registry.all().forEach(shares::account);
    Optional<Account> most = shares.whoMakesRoomFor(newcomer);
    next.clear();
    leastMissed(other -> most.isPresent() && shares.account(other).equals(most))
        .limit(Math.max(1, limits.connections() / CANDIDATES_PART))
        .forEach(next::add);
    lookedNanos = System.nanoTime();
  }

  /** Whether there was one of those that were found lately, and nothing has changed about it. */
  private boolean makeRoomWithNext(Connection newcomer) {
    if (System.nanoTime() - lookedNanos > CANDIDATES_LIFETIME_NANOS) {
      return false;
    }
    Optional<Account> most = shares.whoMakesRoomFor(newcomer);
    for (Candidate candidate = next.poll(); candidate != null; candidate = next.poll()) {
      Connection connection = candidate.connection();
      if (connection != newcomer
          && candidate.isUnchanged()
          && shares.account(connection).equals(most)) {
        registry.end(connection);
        return true;
      }
    }
    return false;
  }

  /** Those whose end costs least come first. */
  private Stream<Candidate> leastMissed(Predicate<Connection> mayEnd) {
    return registry.all().stream().filter(mayEnd).map(Candidate::of).sorted();
  }

  /**
   * Returns when those that were accepted before have begun to run. The processors' threads serve a
   * source of work until it is empty; were it never, for all the connections that a crowd opens
   * anew, they would not come to look for others.
   */
  private static void awaitHandlers() {
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
        leastMissed(other -> other != newcomer && other.isOpen())
            .filter(candidate -> candidate.loss() != Candidate.Loss.OF_WORK)
            .findFirst()
            .map(Candidate::connection)
            .ifPresent(registry::end);
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
