package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;

/**
 * A connection that could be closed to make room. Those come first with which least is lost.
 *
 * @param sinceNanos among those of the same loss, the earliest comes first
 */
record Candidate(Connection connection, Loss loss, long sinceNanos)
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

  static Candidate of(Connection connection) {
    ConnectionState state = connection.state();
    if (state.isStuckFor(Limits.STUCK.toNanos())) {
      return new Candidate(connection, Loss.OF_STUCK_ANSWER, state.sinceNanos());
    }
    if (state.isIdle(Limits.STUCK.toNanos())) {
      return new Candidate(connection, Loss.OF_IDLE_CONNECTION, state.sinceNanos());
    }
    return new Candidate(connection, Loss.OF_WORK, connection.openedNanos());
  }

  /** Whether it still is what it was. */
  boolean isUnchanged() {
    return connection.isOpen() && equals(of(connection));
  }

  @Override
  public int compareTo(Candidate other) {
    return loss == other.loss
        ? Long.signum(sinceNanos - other.sinceNanos)
        : loss.compareTo(other.loss);
  }
}
