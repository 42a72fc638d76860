package dev.zeusd.server.connection;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/** What one peer has taken of what there is. {@link Shares} keeps it, and guards all but turns. */
final class Account {
  final Peer peer;
  final Turns turns = new Turns();

  /** Open connections and unfinished commands: with the last of them, the account is forgotten. */
  int uses;

  /** Those that serve requests; read without a lock where it need not be exact. */
  volatile int connections;

  /** By age. */
  final Set<Connection> streams = new LinkedHashSet<>();

  /** Commands that wait or run, by GPU. */
  final Map<Integer, Integer> commands = new HashMap<>();

  Account(Peer peer) {
    this.peer = peer;
  }
}
