package dev.zeusd.server.connection;

import dev.zeusd.server.Limits;
import io.helidon.webserver.CloseConnectionException;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;

/**
 * A client's connection: what it is doing, and for whom.
 *
 * <p>Thread-safe. One thread, its handler, works on its requests, one after the other.
 */
public final class Connection {
  /** So many requests in a row are many. */
  private static final int LONG_ROW = 8;

  /** Less than a client takes to read an answer and to ask again. */
  private static final long NO_PAUSE_NANOS = 20_000;

  private static final BooleanSupplier ALWAYS = () -> true;

  /** What Helidon calls it. */
  final String id;

  private final Client client;
  private final long openedNanos = System.nanoTime();
  private final AtomicReference<ConnectionState> state =
      new AtomicReference<>(new ConnectionState.AwaitingRequest(openedNanos, true));

  /** Whose share it takes from, as far as that had to be known; kept by {@link Shares}. */
  volatile Optional<Account> account = Optional.empty();

  /** Whether the answer to its request is still allowed; asked when rules change. */
  private volatile BooleanSupplier isAllowed = ALWAYS;

  /** Of the handler's thread only. */
  private int requestsInARow;

  /**
   * What a handler works on with devices, any of which may hang and hold up its thread. Called from
   * other threads.
   */
  public interface Work {
    /** Whether a device holds up the handler's thread just now. */
    boolean isHeldUp();

    /**
     * Whether it waits for something that has a time limit of its own, or did until just now: then
     * it is not too slow.
     */
    boolean mayTakeLonger();

    /**
     * Does what is left, and waits for it until the handler goes on by itself, or {@code
     * latestNanos}, as {@link System#nanoTime} has it.
     *
     * @return empty if the handler goes on
     */
    Optional<Answer> finish(long latestNanos);
  }

  /**
   * An answer in place of the handler's.
   *
   * @param response a whole one, with its head
   * @param beforeSend called when it is this one that the client gets
   */
  public record Answer(byte[] response, Runnable beforeSend) {}

  /** A stream as the connection sees it. */
  public interface Stream {
    /** Whether its client has taken nothing for so long although there is something to take. */
    boolean isStuckFor(long nanos);

    /** Ends it as if its client had gone; called from any thread. */
    void end();
  }

  Connection(String id, SocketChannel channel) {
    this.id = id;
    this.client = new Client(channel);
  }

  /** Who is at the other end, and the way there. */
  public Client client() {
    return client;
  }

  long openedNanos() {
    return openedNanos;
  }

  /** How long it has been open. */
  public Duration age() {
    return Duration.ofNanos(System.nanoTime() - openedNanos);
  }

  boolean isOpen() {
    return client.isOpen();
  }

  // ---- Its requests: for the handler's thread ----

  /** A request is complete, and the calling thread works on it. */
  public void beginRequest() {
    long now = System.nanoTime();
    boolean isInARow = now - state().sinceNanos() < NO_PAUSE_NANOS;
    requestsInARow = isInARow ? requestsInARow + 1 : 0;
    state.set(new ConnectionState.Working(now, Optional.empty()));
  }

  /** Whether it has asked many times without a pause in which others could have run. */
  boolean isInALongRow() {
    return requestsInARow >= LONG_ROW;
  }

  /**
   * Waits until it is admitted, as {@link AdmissionQueue} has it.
   *
   * @return false if it took too long
   * @throws CloseConnectionException if it was closed meanwhile
   */
  boolean awaitAdmission(AdmissionQueue admissions) {
    ConnectionState.Queued queued =
        new ConnectionState.Queued(System.nanoTime(), Thread.currentThread());
    state.set(queued);
    boolean isAdmitted = admissions.await(Limits.ADMISSION_PATIENCE);
    requestsInARow = 0;
    if (!change(queued, new ConnectionState.Working(System.nanoTime(), Optional.empty()))) {
      throw new CloseConnectionException("closed while it waited to be admitted");
    }
    return isAdmitted;
  }

  /** What the handler begins now can be finished without it. */
  public void begin(Work work) {
    if (state() instanceof ConnectionState.Working before) {
      change(before, new ConnectionState.Working(before.sinceNanos(), Optional.of(work)));
    }
  }

  /**
   * Has it end when rules change and do not allow its present answer any more.
   *
   * @return whether they allow it now; a change from here on is noticed
   */
  public boolean onlyWhile(BooleanSupplier condition) {
    isAllowed = condition;
    return condition.getAsBoolean();
  }

  /**
   * The answer is complete and is written from now on.
   *
   * @throws CloseConnectionException if it has been answered already
   */
  public void beginAnswer() {
    ConnectionState before = state();
    if (before instanceof ConnectionState.GivenUp givenUp) {
      givenUp.ended().join();
      throw new CloseConnectionException("answered already");
    }
    boolean isDue =
        before instanceof ConnectionState.Working || before instanceof ConnectionState.HeldUp;
    if (isDue && !change(before, new ConnectionState.Answering(System.nanoTime()))) {
      // Somebody has noticed just now that the handler was held up, or has answered.
      beginAnswer();
    }
  }

  /** The answer is {@code stream}, and may last for ever. */
  public void beginStream(Stream stream) {
    client.noticeVanishedHost();
    state.set(new ConnectionState.Streaming(System.nanoTime(), stream));
  }

  /** The answer has been written, or cannot be. */
  public void endRequest() {
    isAllowed = ALWAYS;
    state.set(new ConnectionState.AwaitingRequest(System.nanoTime(), false));
  }

  // ---- For others ----

  ConnectionState state() {
    return state.get();
  }

  /** Whether it was doing {@code before}, and has gone over to {@code after}. */
  boolean change(ConnectionState before, ConnectionState after) {
    return state.compareAndSet(before, after);
  }

  /** Whether the rules allow its present answer. */
  public boolean isAllowed() {
    return isAllowed.getAsBoolean();
  }

  /** Sends a whole answer, in place of the handler, and ends it. */
  void answerAndClose(byte[] response) {
    try {
      client.sendLast(response);
    } finally {
      close();
    }
  }

  /** The daemon stops: says so to the client, if it is between requests and can be told. */
  void sayGoodbye() {
    if (state() instanceof ConnectionState.AwaitingRequest && isOpen()) {
      client.sayGoodbye();
    }
  }

  /** Ends it, whatever it is doing; unless it waits, its next use of the channel tells it. */
  void close() {
    client.close();
    ConnectionState before = state();
    if (before instanceof ConnectionState.Streaming streaming) {
      streaming.stream().end();
    } else if (before instanceof ConnectionState.Queued queued
        && change(
            queued,
            new ConnectionState.GivenUp(
                System.nanoTime(), CompletableFuture.completedFuture(null)))) {
      // Nowhere else: an interrupt could hit a file that is shared with others.
      queued.handler().interrupt();
    }
  }
}
