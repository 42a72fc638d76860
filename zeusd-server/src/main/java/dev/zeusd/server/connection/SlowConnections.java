package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;
import dev.zeusd.server.connection.Connection.Work;
import dev.zeusd.server.connection.ConnectionState.AwaitingRequest;
import dev.zeusd.server.connection.ConnectionState.GivenUp;
import dev.zeusd.server.connection.ConnectionState.HeldUp;
import dev.zeusd.server.connection.ConnectionState.Streaming;
import dev.zeusd.server.connection.ConnectionState.Working;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * Ends connections that are too slow: those that have not sent a complete request for too long,
 * however many of its bytes still drip in, and those that do not take their answer. Where a device
 * holds up a request, sees to an answer.
 */
final class SlowConnections {
  private static final int LOOKS_PER_LIMIT = 8;

  private final Limits limits;

  /** Between two looks. */
  private final Duration interval;

  /** Null while there is nothing to watch. */
  private Thread watch;

  /** Watches nothing yet. */
  SlowConnections(Limits limits) {
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
  synchronized void stop() {
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

  private synchronized boolean areAllGone(ConnectionRegistry registry) {
    if (registry.all().isEmpty()) {
      watch = null;
    }
    return watch == null;
  }

  private void lookAt(Connection connection) {
    ConnectionState state = connection.state();
    boolean isSeenTo =
        state instanceof HeldUp
            || state instanceof Streaming
            || state instanceof Working working
                && (answersIfHeldUp(connection, working)
                    || working.work().filter(Work::mayTakeLonger).isPresent());
    Duration limit =
        state instanceof AwaitingRequest ? limits.toSendRequest() : limits.toTakeAnswer();
    if (!isSeenTo && state.isOlderThan(limit.toNanos())) {
      connection.close();
    }
  }

  /**
   * Sees to an answer if a device holds up the handler; unless that comes back in time, and answers
   * by itself.
   */
  private boolean answersIfHeldUp(Connection connection, Working working) {
    Optional<Work> work = working.work().filter(Work::isHeldUp);
    HeldUp heldUp = new HeldUp(working.sinceNanos());
    if (work.isEmpty()
        || !working.isOlderThan(interval.toNanos())
        || !connection.change(working, heldUp)) {
      return false;
    }
    long latestNanos = working.sinceNanos() + limits.toTakeAnswer().toNanos();
    // The others' devices may take their time, and the client may not take the answer.
    Thread.ofVirtual()
        .start(
            () ->
                work.get()
                    .finish(latestNanos)
                    .ifPresentOrElse(
                        answer -> send(connection, heldUp, answer),
                        () -> connection.change(heldUp, working)));
    return true;
  }

  private static void send(Connection connection, HeldUp heldUp, Connection.Answer answer) {
    GivenUp givenUp = new GivenUp(System.nanoTime(), new CompletableFuture<>());
    if (connection.change(heldUp, givenUp)) {
      try {
        answer.beforeSend().run();
        connection.answerAndClose(answer.response());
      } finally {
        givenUp.ended().complete(null);
      }
    }
  }
}
