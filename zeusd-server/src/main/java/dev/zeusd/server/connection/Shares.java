package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import java.io.IOException;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.function.BooleanSupplier;

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
  private static final int HANDSHAKES_AT_A_TIME =
      Math.max(1, Runtime.getRuntime().availableProcessors() * 3 / 4);

  private final Limits limits;
  private final boolean asksForTokens;
  private final BooleanSupplier asksForCertificates;
  private final Map<Peer, Account> accounts = new HashMap<>();
  private final QueuePlaces queues = new QueuePlaces();

  /** Of all peers together, so that a part of the processors is left to those who have shaken. */
  private final Semaphore handshakes = new Semaphore(HANDSHAKES_AT_A_TIME, true);

  private int streams;

  /**
   * Of what {@code limits} allow to all together.
   *
   * @param asksForTokens whether everybody has to show a token
   * @param asksForCertificates whether clients of TLS have to show a certificate
   */
  public Shares(Limits limits, boolean asksForTokens, BooleanSupplier asksForCertificates) {
    this.limits = limits;
    this.asksForTokens = asksForTokens;
    this.asksForCertificates = asksForCertificates;
  }

  // Connections.

  /**
   * Whose share a connection takes from; empty if it was closed before anybody asked. It is found
   * out only now, since to ask the kernel, and the system for the name, takes a tenth of the time
   * of a short connection.
   */
  Optional<Account> account(Connection connection) {
    return connection.account.or(() -> identify(connection));
  }

  private Optional<Account> identify(Connection connection) {
    try {
      Peer peer = Peer.of(connection.client().channel());
      synchronized (this) {
        if (connection.account.isEmpty() && connection.isOpen()) {
          open(connection, peer);
        }
      }
    } catch (IOException e) {
      // It is closed.
    }
    return connection.account;
  }

  private Account accountOfOpen(Connection connection) {
    return account(connection).orElseThrow(() -> new CloseConnectionException("closed meanwhile"));
  }

  private void open(Connection connection, Peer peer) {
    Account account = accounts.computeIfAbsent(peer, Account::new);
    account.connections++;
    connection.account = Optional.of(account);
  }

  /** It is closed, and is counted no longer. */
  synchronized void close(Connection connection) {
    closeStream(connection);
    connection.account.ifPresent(
        account -> {
          account.connections--;
          if (account.connections == 0 && account.streams.isEmpty()) {
            accounts.remove(account.peer);
          }
        });
  }

  /** From here on, {@code connection} takes from the share of {@code peer}. */
  public void belongsTo(Connection connection, Peer peer) {
    if (connection.account.filter(account -> account.peer.equals(peer)).isPresent()) {
      return;
    }
    synchronized (this) {
      if (connection.isOpen()) {
        close(connection);
        open(connection, peer);
      }
    }
  }

  /**
   * Whose connection is to make room for {@code newcomer}: of the peer with the most, and of its
   * own rather than of one that has as many as it had. Where tokens or certificates tell who
   * somebody is, those who have not shown one go first, but for a part of the connections:
   * everybody comes without.
   */
  synchronized Optional<Account> whoMakesRoomFor(Connection newcomer) {
    int strangers = 0;
    for (Account account : accounts.values()) {
      strangers += isStranger(account) ? account.connections : 0;
    }
    boolean strangersFirst = strangers > limits.connections() / Limits.STRANGERS_PART;
    Account most = null;
    int mostConnections = 0;
    for (Account account : accounts.values()) {
      boolean isOwn = newcomer.account.filter(own -> own == account).isPresent();
      int connections = account.connections + account.streams.size() - (isOwn ? 1 : 0);
      boolean isMore = isOwn ? connections >= mostConnections : connections > mostConnections;
      if (connections > 0 && isMore && (!strangersFirst || isStranger(account))) {
        most = account;
        mostConnections = connections;
      }
    }
    return Optional.ofNullable(most);
  }

  /** Whether it could say who it is, and has not; of local users the kernel says it. */
  private boolean isStranger(Account account) {
    return switch (account.peer) {
      case Peer.TokenUser _, Peer.CertificateHolder _ -> false;
      case Peer.LocalUser _ -> asksForTokens;
      case Peer.Host _ -> asksForTokens || asksForCertificates.getAsBoolean();
    };
  }

  // Streams.

  /**
   * Counts a stream of {@code connection}, and ends another one that has to make room for it.
   *
   * @throws HttpException if there is no room: 429 if its peer has had its share, 503 if that makes
   *     no difference
   */
  public void openStream(Connection connection) {
    Account account = accountOfOpen(connection);
    addStream(connection, account).ifPresent(Connection::close);
  }

  private synchronized Optional<Connection> addStream(Connection connection, Account account) {
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
        .filter(stream -> stream.state().isStuckFor(Limits.STUCK.toNanos()))
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
        .account
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

  /**
   * A place for a command of {@code connection} in the queue of each of these GPUs.
   *
   * @throws HttpException 429 if its peer has had its share of one of the queues
   */
  public QueuePlaces.Held enterQueues(Connection connection, Collection<Integer> gpuIds) {
    return queues.enter(accountOfOpen(connection).peer, gpuIds);
  }

  // Time of the processors.

  /**
   * Takes a step of the handshake of {@code connection}, when few others of its peer do, and few of
   * all. One takes milliseconds of a processor, and virtual threads that can run stand in line:
   * thousands of one peer, or one each of hundreds, would stand before everybody else for seconds.
   *
   * @throws CloseConnectionException if it was closed meanwhile
   */
  public void stepOfHandshake(Connection connection, Runnable step) {
    accountOfOpen(connection).stepOfHandshake(connection, () -> Account.inTurn(handshakes, step));
  }

  /**
   * Returns when a request of {@code connection} may go on: at once, unless its peer has a crowd of
   * connections, or this one asks without a pause.
   *
   * @throws HttpException 429 if that takes too long
   */
  void awaitAdmission(Connection connection) {
    accountOfOpen(connection).awaitAdmission(connection);
  }
}
