package dev.zeusd.server.connection;

import dev.zeusd.server.connection.Connection.Stream;
import dev.zeusd.server.connection.Connection.Work;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** What a connection is doing, and what with. */
sealed interface ConnectionState {
  /** Since when, as {@link System#nanoTime} has it. */
  long sinceNanos();

  /** No request has come, or a part of one only. */
  record AwaitingRequest(long sinceNanos, boolean isFirst) implements ConnectionState {}

  /** Its request waits to be admitted, after others of its peer. */
  record Queued(long sinceNanos, Thread handler) implements ConnectionState {}

  /** The handler works, or waits for a device; {@code work} is what others could finish. */
  record Working(long sinceNanos, Optional<Work> work) implements ConnectionState {}

  /** A device holds up the handler, and another thread sees to an answer. */
  record HeldUp(long sinceNanos) implements ConnectionState {}

  /** The answer is written, as far as the client takes it. */
  record Answering(long sinceNanos) implements ConnectionState {}

  /** The answer is a stream, and those who write it see to slow clients. */
  record Streaming(long sinceNanos, Stream stream) implements ConnectionState {}

  /**
   * It is answered or closed behind the handler's back, which may not answer any more; nor may it
   * do anything before that has {@code ended}, since what it does next closes the connection.
   */
  record GivenUp(long sinceNanos, CompletableFuture<Void> ended) implements ConnectionState {}

  default boolean isOlderThan(long nanos) {
    return System.nanoTime() - sinceNanos() > nanos;
  }

  /** Whether the client has taken nothing of its answer for so long. */
  default boolean isStuckFor(long nanos) {
    return switch (this) {
      case Streaming streaming -> streaming.stream.isStuckFor(nanos);
      case GivenUp givenUp -> true;
      case Answering answering -> isOlderThan(nanos);
      case AwaitingRequest a -> false;
      case Queued q -> false;
      case Working w -> false;
      case HeldUp h -> false;
    };
  }

  /** Whether nothing is lost with it: it is between two requests, or its first is overdue. */
  default boolean isIdle(long patienceNanos) {
    return this instanceof AwaitingRequest awaiting
        && (!awaiting.isFirst || isOlderThan(patienceNanos));
  }
}
