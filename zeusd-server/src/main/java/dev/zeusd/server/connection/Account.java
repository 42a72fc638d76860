package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.Semaphore;

/**
 * What one peer has taken of what there is, while it has anything: connections and streams, which
 * {@link Shares} counts and guards, and time of the processors, for which its own wait for each
 * other.
 */
final class Account {
  /** Others' handshakes, and their requests, find processors that are free. */
  private static final int HANDSHAKES_AT_A_TIME =
      Math.max(1, Runtime.getRuntime().availableProcessors() / 2);

  final Peer peer;

  /** Those that serve requests; read without a lock where it need not be exact. */
  volatile int connections;

  /** By age. */
  final Set<Connection> streams = new LinkedHashSet<>();

  private final AdmissionQueue admissions = new AdmissionQueue();

  /** First come, first served. */
  private final Semaphore handshakes = new Semaphore(HANDSHAKES_AT_A_TIME, true);

  Account(Peer peer) {
    this.peer = peer;
  }

  /** As {@link Shares#stepOfHandshake}. */
  void stepOfHandshake(Connection connection, Runnable step) {
    inTurn(
        handshakes,
        () -> {
          if (!connection.isOpen()) {
            throw new CloseConnectionException("closed during the handshake");
          }
          step.run();
        });
  }

  /** Takes a step of a handshake when there is a place for it. */
  static void inTurn(Semaphore places, Runnable step) {
    try {
      places.acquire();
    } catch (InterruptedException e) {
      throw new CloseConnectionException("interrupted during the handshake", e);
    }
    try {
      step.run();
    } finally {
      places.release();
    }
  }

  /** As {@link Shares#awaitAdmission}. */
  void awaitAdmission(Connection connection) {
    boolean isOneOfMany = connections > Limits.CROWD || connection.isInALongRow();
    if (isOneOfMany && !connection.awaitAdmission(admissions)) {
      HttpException e =
          TryLater.refusal(
              Status.TOO_MANY_REQUESTS_429,
              "%s asks on %d connections at a time for more than its share of the daemon's time; ask less often"
                  .formatted(peer, connections),
              Limits.SOON);
      // Else the next request in its buffers would be here at once.
      e.header(HeaderValues.CONNECTION_CLOSE);
      throw e;
    }
  }
}
