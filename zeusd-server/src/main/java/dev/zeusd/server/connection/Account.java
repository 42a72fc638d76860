package dev.zeusd.server.connection;

import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.Semaphore;

/**
 * What one peer has taken of what there is, while it has anything. {@link Shares} keeps it, and
 * guards all but turns.
 */
final class Account {
  /** Others' handshakes, and their requests, find processors that are free. */
  private static final int HANDSHAKES_AT_A_TIME =
      Math.max(1, Runtime.getRuntime().availableProcessors() / 2);

  final Peer peer;
  final Turns turns = new Turns();

  /** First come, first served. */
  final Semaphore handshakes = new Semaphore(HANDSHAKES_AT_A_TIME, true);

  /** Those that serve requests; read without a lock where it need not be exact. */
  volatile int connections;

  /** By age. */
  final Set<Connection> streams = new LinkedHashSet<>();

  Account(Peer peer) {
    this.peer = peer;
  }
}
