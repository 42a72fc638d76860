package dev.zeusd.server.connection;

import java.util.LinkedHashSet;
import java.util.Set;

/**
 * What one peer has taken of what there is, while it has anything. {@link Shares} keeps it, and
 * guards all but turns.
 */
final class Account {
  final Peer peer;
  final Turns turns = new Turns();

  /** Those that serve requests; read without a lock where it need not be exact. */
  volatile int connections;

  /** By age. */
  final Set<Connection> streams = new LinkedHashSet<>();

  Account(Peer peer) {
    this.peer = peer;
  }
}
