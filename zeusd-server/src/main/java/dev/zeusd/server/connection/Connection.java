package dev.zeusd.server.connection;

import dev.zeusd.ffm.posix.PeerProcess;
import dev.zeusd.server.Limits;
import io.helidon.webserver.CloseConnectionException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
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

  private final SocketChannel channel;
  private final AtomicInteger answering;
  private final long openedNanos = System.nanoTime();
  private final AtomicReference<State> state =
      new AtomicReference<>(new State(Doing.AWAITING_REQUEST, openedNanos));
  private final Lock answeringInPlace = new ReentrantLock();
  private volatile Optional<Account> account = Optional.empty();
  private volatile Thread handler;

  /** Whether the answer to its request has no body. */
  private volatile boolean isHead;

  private volatile boolean hasHadRequest;

  /** What its handler works on now, if that can be finished without it. */
  private volatile Optional<Work> work = Optional.empty();

  private volatile boolean isBeingFinished;

  /** Null before there is one. */
  private volatile Stream stream;

  /** Null before it had to be known; then empty for a TCP connection. */
  private volatile Optional<PeerProcess> peerProcess;

  /** Whether the answer to its request is still allowed; asked when rules change. */
  private volatile BooleanSupplier isAllowed = ALWAYS;

  // Of the handler's thread only.

  private int requestsInARow;
  private long lastEndNanos = openedNanos;

  /** What a connection can be doing. */
  public enum Doing {
    /** No request has come, or a part of one only. */
    AWAITING_REQUEST,
    /** Its request waits until others have had their turns. */
    QUEUED,
    /** The handler works, or waits for a device. */
    WORKING,
    /** The answer is written, as far as the client takes it. */
    ANSWERING,
    /** The answer is a stream, and those who write it see to slow clients. */
    STREAMING,
    /** It has been answered or closed behind the handler's back, which may not answer any more. */
    GIVEN_UP
  }

  /**
   * What a connection is doing.
   *
   * @param sinceNanos since when, as {@link System#nanoTime} has it
   */
  public record State(Doing doing, long sinceNanos) {
    static State now(Doing doing) {
      return new State(doing, System.nanoTime());
    }

    long ageNanos() {
      return System.nanoTime() - sinceNanos;
    }
  }

  /**
   * What a handler works on with devices, any of which may hang and hold up its thread. Called from
   * other threads.
   */
  public interface Work {
    /** Whether a device holds up the handler's thread just now. */
    boolean isHeldUp();

    /**
     * Does what is left, and waits for it until the handler goes on by itself, or {@code
     * latestNanos}, as {@link System#nanoTime} has it.
     *
     * @return a whole response, with its head; empty if the handler goes on
     */
    Optional<byte[]> finish(long latestNanos, boolean isHead);
  }

  /** A stream as the connection sees it. */
  public interface Stream {
    /** Whether its client has taken nothing for so long although there is something to take. */
    boolean isStuckFor(long nanos);

    /** Ends it as if its client had gone; called from any thread. */
    void end();
  }

  /**
   * A new one.
   *
   * @param answering of all connections, how many are being answered
   */
  Connection(SocketChannel channel, AtomicInteger answering) {
    this.answering = answering;
    this.channel = channel;
  }

  /** Its bytes. */
  public SocketChannel channel() {
    return channel;
  }

  /**
   * The process at the other end, as it was when it connected; empty for a TCP connection.
   *
   * @throws CloseConnectionException if the connection is closed
   */
  public Optional<PeerProcess> peerProcess() {
    Optional<PeerProcess> known = peerProcess;
    if (known == null) {
      try {
        known = Peer.process(channel);
        peerProcess = known;
      } catch (IOException e) {
        throw new CloseConnectionException("closed meanwhile", e);
      }
    }
    return known;
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

  /** Rules have changed: ends it if they do not allow its present answer any more. */
  boolean endIfForbidden() {
    boolean isForbidden = isOpen() && !isAllowed.getAsBoolean();
    if (isForbidden) {
      close();
    }
    return isForbidden;
  }

  /** Whose share it takes from, as far as that had to be known; for {@link Shares}. */
  Optional<Account> account() {
    return account;
  }

  void account(Account account) {
    this.account = Optional.of(account);
  }

  State state() {
    return state.get();
  }

  long openedNanos() {
    return openedNanos;
  }

  /** How long it has been open. */
  public Duration age() {
    return Duration.ofNanos(System.nanoTime() - openedNanos);
  }

  boolean isOpen() {
    return channel.isOpen();
  }

  /** A request is complete, and the calling thread works on it. */
  public void beginRequest(boolean isHead) {
    this.isHead = isHead;
    handler = Thread.currentThread();
    hasHadRequest = true;
    State working = State.now(Doing.WORKING);
    requestsInARow = working.sinceNanos() - lastEndNanos < NO_PAUSE_NANOS ? requestsInARow + 1 : 0;
    state.set(working);
  }

  /** What the handler begins now can be finished without it. */
  public void begin(Work work) {
    this.work = Optional.of(work);
  }

  /** Whether it has asked many times without a pause in which others could have run. */
  boolean isInALongRow() {
    return requestsInARow >= LONG_ROW;
  }

  /**
   * Waits for its turn, as {@link Turns} has it.
   *
   * @return false if it took too long
   * @throws CloseConnectionException if it was closed meanwhile
   */
  boolean awaitTurn(Turns turns) {
    State queued = State.now(Doing.QUEUED);
    state.set(queued);
    boolean hasTurn = turns.await(Limits.TURN_PATIENCE);
    requestsInARow = 0;
    if (!state.compareAndSet(queued, State.now(Doing.WORKING))) {
      throw new CloseConnectionException("closed while it waited for its turn");
    }
    return hasTurn;
  }

  /**
   * The answer is complete and is written from now on.
   *
   * @return false if the watch has answered already, and nothing may be written any more
   */
  public boolean beginAnswer() {
    State before = state.get();
    return switch (before.doing()) {
      case WORKING -> {
        boolean isFirst = state.compareAndSet(before, State.now(Doing.ANSWERING));
        if (isFirst) {
          answering.incrementAndGet();
        } else {
          awaitAnswerInPlace();
        }
        yield isFirst;
      }
      case GIVEN_UP -> {
        awaitAnswerInPlace();
        yield false;
      }
      case AWAITING_REQUEST, QUEUED, ANSWERING, STREAMING -> true;
    };
  }

  /** What the handler does next closes the connection. */
  private void awaitAnswerInPlace() {
    answeringInPlace.lock();
    answeringInPlace.unlock();
  }

  /** The answer is {@code stream}, and may last for ever. */
  public void beginStream(Stream stream) {
    this.stream = stream;
    state.set(State.now(Doing.STREAMING));
  }

  /** The answer has been written, or cannot be. */
  public void endRequest() {
    State idle = State.now(Doing.AWAITING_REQUEST);
    lastEndNanos = idle.sinceNanos();
    isAllowed = ALWAYS;
    work = Optional.empty();
    if (state.getAndSet(idle).doing() == Doing.ANSWERING) {
      answering.decrementAndGet();
    }
  }

  /** Whether its client has taken nothing of its answer for so long. */
  boolean isStuckFor(long nanos) {
    return switch (state.get().doing()) {
      case STREAMING -> stream.isStuckFor(nanos);
      case GIVEN_UP -> true;
      case AWAITING_REQUEST, QUEUED, WORKING, ANSWERING -> isStuckInAnswerFor(nanos);
    };
  }

  /** As {@link #isStuckFor}, and the answer is no stream. */
  boolean isStuckInAnswerFor(long nanos) {
    State now = state.get();
    return now.doing() == Doing.ANSWERING && now.ageNanos() > nanos;
  }

  /** Whether nothing is lost with it: it is between two requests, or its first is overdue. */
  boolean isIdle(long patienceNanos) {
    State now = state.get();
    return now.doing() == Doing.AWAITING_REQUEST
        && (hasHadRequest || now.ageNanos() > patienceNanos);
  }

  /**
   * If a device holds up the handler, sees to an answer without it; unless the handler comes back
   * in time, and answers by itself.
   *
   * @param working what the connection was doing when this was decided
   * @param latestNanos when the answer has to come, as {@link System#nanoTime} has it
   * @return whether that is being done
   */
  boolean finishIfHeldUp(State working, long latestNanos) {
    Optional<Work> held = work.filter(Work::isHeldUp);
    if (!isBeingFinished && held.isPresent()) {
      isBeingFinished = true;
      // The others' devices may take their time, and the client may not take the answer.
      Thread.ofVirtual()
          .start(
              () -> {
                held.get()
                    .finish(latestNanos, isHead)
                    .ifPresent(response -> answerInPlaceOfHandler(working, response));
                isBeingFinished = false;
              });
    }
    return isBeingFinished;
  }

  private void answerInPlaceOfHandler(State working, byte[] response) {
    answeringInPlace.lock();
    try {
      if (state.compareAndSet(working, State.now(Doing.GIVEN_UP))) {
        channel.write(ByteBuffer.wrap(response));
        close();
      }
    } catch (IOException e) {
      close();
    } finally {
      answeringInPlace.unlock();
    }
  }

  /** Ends it, whatever it is doing. */
  void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // It is closed even so.
    }
    State before = state.get();
    switch (before.doing()) {
      case STREAMING -> stream.end();
      case QUEUED -> {
        // Nowhere else: an interrupt could hit a file that is shared with others.
        if (state.compareAndSet(before, State.now(Doing.GIVEN_UP))) {
          handler.interrupt();
        }
      }
      case AWAITING_REQUEST, WORKING, ANSWERING, GIVEN_UP -> {
        // Its next use of the channel ends it.
      }
    }
  }
}
