package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;

/**
 * A connection that could be closed to make room. Those come first with which least is lost.
 *
 * @param id Helidon's name of it
 * @param sinceNanos among those of the same loss, the earliest comes first
 */
record Candidate(String id, Connection connection, Loss loss, long sinceNanos)
    implements Comparable<Candidate> {
  /** What would be lost. */
  enum Loss {
    /** An answer that its client does not take. */
    OF_STUCK_ANSWER,
    /** Nothing; the client connects again. */
    OF_IDLE_CONNECTION,
    /** What is being done for its client. */
    OF_WORK
  }

  static Candidate of(String id, Connection connection) {
    long stateNanos = connection.state().sinceNanos();
    if (connection.isStuckFor(Limits.STUCK.toNanos())) {
      return new Candidate(id, connection, Loss.OF_STUCK_ANSWER, stateNanos);
    }
    if (connection.isIdle(Limits.STUCK.toNanos())) {
      return new Candidate(id, connection, Loss.OF_IDLE_CONNECTION, stateNanos);
    }
    return new Candidate(id, connection, Loss.OF_WORK, connection.openedNanos());
  }

  /** Whether it still is what it was. */
  boolean isUnchanged() {
    return connection.isOpen() && equals(of(id, connection));
  }

  @Override
  public int compareTo(Candidate other) {
    return loss == other.loss
        ? Long.signum(sinceNanos - other.sinceNanos)
        : loss.compareTo(other.loss);
  }
}
