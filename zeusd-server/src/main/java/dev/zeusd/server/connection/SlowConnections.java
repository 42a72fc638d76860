package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;
import java.time.Duration;
import java.util.Collections;
import java.util.List;

/**
 * Ends connections that are too slow: those that have not sent a complete request for too long,
 * however many of its bytes still drip in, and those that do not take their answer. Where a device
 * holds up a request, sees to an answer.
 */
public final class SlowConnections {
  private static final int LOOKS_PER_LIMIT = 8;

  private final Limits limits;

  /** Between two looks. */
  private final Duration interval;

  /** Null while there is nothing to watch. */
  private Thread watch;

  /** Watches nothing yet. */
  public SlowConnections(Limits limits) {
    this.limits = limits;
    Duration shorter = Collections.min(List.of(limits.toSendRequest(), limits.toTakeAnswer()));
    this.interval = shorter.dividedBy(LOOKS_PER_LIMIT);
  }

  /** Watches for as long as there are connections. */
  synchronized void start(ConnectionRegistry registry) {
    if (watch == null) {
      watch = Thread.ofVirtual().name("connection watch").start(() -> run(registry));
    }
  }

  /** Ends the watch, not the connections. */
  public synchronized void stop() {
    if (watch != null) {
      watch.interrupt();
    }
  }

  private void run(ConnectionRegistry registry) {
    try {
      do {
        Thread.sleep(interval);
        registry.all().forEach(this::lookAt);
        registry.forgetClosed();
      } while (!areAllGone(registry));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private boolean isTooSlow(Connection.State state) {
    return switch (state.doing()) {
      case AWAITING_REQUEST -> state.ageNanos() > limits.toSendRequest().toNanos();
      case QUEUED, WORKING, ANSWERING, GIVEN_UP ->
          state.ageNanos() > limits.toTakeAnswer().toNanos();
      case STREAMING -> false;
    };
  }

  private void lookAt(Connection connection) {
    Connection.State state = connection.state();
    boolean isFinished =
        state.doing() == Connection.Doing.WORKING
            && state.ageNanos() > interval.toNanos()
            && connection.finishIfHeldUp(
                state, state.sinceNanos() + limits.toTakeAnswer().toNanos());
    if (!isFinished && isTooSlow(state)) {
      connection.close();
    }
  }

  private synchronized boolean areAllGone(ConnectionRegistry registry) {
    if (registry.all().isEmpty()) {
      watch = null;
    }
    return watch == null;
  }
}
