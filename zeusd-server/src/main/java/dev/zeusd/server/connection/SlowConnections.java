package dev.zeusd.server.connection;

import dev.zeusd.core.Node;
import dev.zeusd.server.Limits;
import java.time.Duration;
import java.util.Collections;
import java.util.List;

/**
 * Ends connections that are too slow: those that have not sent a complete request for too long,
 * however many of its bytes still drip in, and those that do not take their answer.
 */
public final class SlowConnections {
  private static final int LOOKS_PER_LIMIT = 8;

  private final Node node;
  private final Limits limits;
  private final NoAnswer noAnswer;

  /** Says that a GPU does not answer. */
  public interface NoAnswer {
    /** A whole response, with its head; without a body for a HEAD. */
    byte[] of(int gpuId, boolean isHead);
  }

  /** Null while there is nothing to watch. */
  private Thread watch;

  /**
   * Watches nothing yet.
   *
   * @param node whose devices the requests ask
   * @param noAnswer what is said in place of handlers that a GPU holds up
   */
  public SlowConnections(Node node, Limits limits, NoAnswer noAnswer) {
    this.node = node;
    this.limits = limits;
    this.noAnswer = noAnswer;
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
    Duration shorter = Collections.min(List.of(limits.toSendRequest(), limits.toTakeAnswer()));
    try {
      do {
        Thread.sleep(shorter.dividedBy(LOOKS_PER_LIMIT));
        registry.all().forEach(this::endIfTooSlow);
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

  private void endIfTooSlow(Connection connection) {
    Connection.State state = connection.state();
    if (!isTooSlow(state)) {
      return;
    }
    // A handler that hangs in the driver cannot answer, so that is done here.
    node.gpus().stream()
        .filter(
            gpu -> state.doing() == Connection.Doing.WORKING && gpu.isAskedBy(connection.handler()))
        .findFirst()
        .ifPresentOrElse(
            gpu ->
                connection.answerInPlaceOfHandler(
                    state, noAnswer.of(gpu.id(), connection.isHead())),
            connection::close);
  }

  private synchronized boolean areAllGone(ConnectionRegistry registry) {
    if (registry.all().isEmpty()) {
      watch = null;
    }
    return watch == null;
  }
}
