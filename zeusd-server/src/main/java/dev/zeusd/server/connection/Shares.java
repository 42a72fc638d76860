package dev.zeusd.server.connection;

import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.server.Limits;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import java.io.IOException;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Who takes how much of what there is only so much of: connections, streams, places in the queues
 * of devices, and time of the processors.
 *
 * <p>Whoever is alone may have all. When there is no room left for a peer, the one with the most
 * makes room, until both have the same. So no one peer keeps another out, and nobody has to know
 * beforehand how many there will be.
 *
 * <p>Thread-safe.
 */
public final class Shares {
  private final Limits limits;
  private final Map<Peer, Account> accounts = new HashMap<>();
  private final Map<Integer, Integer> commandsByGpu = new HashMap<>();
  private int streams;

  /** Of what {@code limits} allow to all together. */
  public Shares(Limits limits) {
    this.limits = limits;
  }

  // Connections.

  /**
   * Whose share a connection takes from; empty if it was closed before anybody asked. It is found
   * out only now, since to ask the kernel, and the system for the name, takes a tenth of the time
   * of a short connection.
   */
  Optional<Account> account(Connection connection) {
    return connection.account().or(() -> identify(connection));
  }

  private Optional<Account> identify(Connection connection) {
    try {
      Peer peer = Peer.of(connection.channel());
      synchronized (this) {
        if (connection.account().isEmpty() && connection.isOpen()) {
          open(connection, peer);
        }
      }
    } catch (IOException e) {
      // It is closed.
    }
    return connection.account();
  }

  private Account accountOfOpen(Connection connection) {
    return account(connection).orElseThrow(() -> new CloseConnectionException("closed meanwhile"));
  }

  private void open(Connection connection, Peer peer) {
    Account account = accounts.computeIfAbsent(peer, Account::new);
    account.uses++;
    account.connections++;
    connection.account(account);
  }

  /** It is closed, and is counted no longer. */
  synchronized void close(Connection connection) {
    connection.account().ifPresent(account -> close(connection, account));
  }

  private void close(Connection connection, Account account) {
    if (account.streams.remove(connection)) {
      streams--;
    } else {
      account.connections--;
    }
    leave(account);
  }

  /** From here on, {@code connection} takes from the share of {@code peer}. */
  public void belongsTo(Connection connection, Peer peer) {
    if (connection.account().filter(account -> account.peer.equals(peer)).isPresent()) {
      return;
    }
    synchronized (this) {
      if (connection.isOpen()) {
        close(connection);
        open(connection, peer);
      }
    }
  }

  private void leave(Account account) {
    account.uses--;
    if (account.uses == 0) {
      accounts.remove(account.peer);
    }
  }

  /**
   * Whose connection is to make room for {@code newcomer}: of the peer with the most, and of its
   * own rather than of one that has as many as it had. Where tokens tell who somebody is, those who
   * have not shown one go first, but for a part of the connections: everybody comes without.
   */
  synchronized Optional<Account> whoMakesRoomFor(Connection newcomer, boolean tokensAreKnown) {
    int strangers = 0;
    for (Account account : accounts.values()) {
      strangers += isStranger(account) ? account.connections : 0;
    }
    boolean strangersFirst =
        tokensAreKnown && strangers > limits.connections() / Limits.STRANGERS_PART;
    Account most = null;
    int mostConnections = 0;
    for (Account account : accounts.values()) {
      boolean isOwn = newcomer.account().filter(own -> own == account).isPresent();
      int connections = account.connections + account.streams.size() - (isOwn ? 1 : 0);
      boolean isMore = isOwn ? connections >= mostConnections : connections > mostConnections;
      if (connections > 0 && isMore && (!strangersFirst || isStranger(account))) {
        most = account;
        mostConnections = connections;
      }
    }
    return Optional.ofNullable(most);
  }

  private static boolean isStranger(Account account) {
    return !(account.peer instanceof Peer.TokenUser);
  }

  // Streams.

  /**
   * Counts a stream of {@code connection}.
   *
   * @return whose stream has to end for it
   * @throws HttpException if there is no room: 429 if its peer has had its share, 503 if that makes
   *     no difference
   */
  Optional<Connection> openStream(Connection connection) {
    return openStream(connection, accountOfOpen(connection));
  }

  private synchronized Optional<Connection> openStream(Connection connection, Account account) {
    Optional<Connection> victim = Optional.empty();
    if (streams >= limits.streams()) {
      victim = Optional.of(stuckOrOldest(whoHasMoreStreams(account)));
      closeStream(victim.get());
    }
    account.connections--;
    account.streams.add(connection);
    streams++;
    return victim;
  }

  private Account whoHasMoreStreams(Account account) {
    int own = account.streams.size();
    // After the exchange, the other one still has as many. Root gets one in any case.
    int atLeast = own == 0 && account.peer.isRoot() ? 1 : own + 2;
    return accounts.values().stream()
        .filter(other -> other.streams.size() >= atLeast)
        .max(Comparator.comparingInt(other -> other.streams.size()))
        .orElseThrow(() -> noMoreStreams(account));
  }

  private static Connection stuckOrOldest(Account account) {
    return account.streams.stream()
        .filter(stream -> stream.isStuckFor(Limits.STUCK.toNanos()))
        .findFirst()
        .orElseGet(() -> account.streams.iterator().next());
  }

  private HttpException noMoreStreams(Account account) {
    int own = account.streams.size();
    return own == 0 || own == streams
        ? TryLater.refusal(
            Status.SERVICE_UNAVAILABLE_503,
            "there are " + streams + " streams, and no more at a time",
            Limits.LATER)
        : TryLater.refusal(
            Status.TOO_MANY_REQUESTS_429,
            "%s has %d of the %d streams, which is its share while others have theirs; end one first"
                .formatted(account.peer, own, limits.streams()),
            Limits.LATER);
  }

  /** The stream of {@code connection} has ended, or is about to. Does nothing the second time. */
  public synchronized void closeStream(Connection connection) {
    connection
        .account()
        .filter(account -> account.streams.remove(connection))
        .ifPresent(
            account -> {
              account.connections++;
              streams--;
            });
  }

  /** How many streams are open. */
  public synchronized int openStreams() {
    return streams;
  }

  // Commands.

  /** Places in the queues of GPUs. */
  public interface Places {
    /** The command is over, or was not queued after all; once for each GPU. */
    void leave(int gpuId);
  }

  /**
   * A place for a command of {@code connection} in the queue of each of these GPUs. One peer may
   * have as many in a queue as are left free for others.
   *
   * @throws HttpException 429 if it has them already in one of the queues
   */
  public Places enterQueues(Connection connection, Collection<Integer> gpuIds) {
    return enterQueues(accountOfOpen(connection), gpuIds);
  }

  private synchronized Places enterQueues(Account account, Collection<Integer> gpuIds) {
    for (int id : gpuIds) {
      int own = account.commands.getOrDefault(id, 0);
      if (own >= DeviceWorker.QUEUE_CAPACITY - commandsByGpu.getOrDefault(id, 0)) {
        throw TryLater.refusal(
            Status.TOO_MANY_REQUESTS_429,
            "%s has %d commands waiting for GPU %d, which is its share of the %d that may wait; let some of them end first"
                .formatted(account.peer, own, id, DeviceWorker.QUEUE_CAPACITY),
            Limits.SOON);
      }
    }
    for (int id : gpuIds) {
      account.commands.merge(id, 1, Integer::sum);
      commandsByGpu.merge(id, 1, Integer::sum);
    }
    account.uses += gpuIds.size();
    return id -> leaveQueue(account, id);
  }

  private synchronized void leaveQueue(Account account, int gpuId) {
    decrement(account.commands, gpuId);
    decrement(commandsByGpu, gpuId);
    leave(account);
  }

  private static void decrement(Map<Integer, Integer> counts, int gpuId) {
    counts.computeIfPresent(gpuId, (id, count) -> count == 1 ? null : count - 1);
  }

  // Requests.

  /**
   * Returns when a request of {@code connection} may go on: at once, unless its peer has a crowd of
   * connections, or this one asks without a pause.
   *
   * @throws HttpException 429 if that takes too long
   */
  void awaitTurn(Connection connection) {
    Account account = accountOfOpen(connection);
    boolean isOneOfMany = account.connections > Limits.CROWD || connection.isInALongRow();
    if (isOneOfMany && !connection.awaitTurn(account.turns)) {
      HttpException e =
          TryLater.refusal(
              Status.TOO_MANY_REQUESTS_429,
              "%s asks on %d connections at a time for more than its share of the daemon's time; ask less often"
                  .formatted(account.peer, account.connections),
              Limits.SOON);
      // Else the next request in its buffers would be here at once.
      e.header(HeaderValues.CONNECTION_CLOSE);
      throw e;
    }
  }
}
