package dev.zeusd.server.stream;

import dev.zeusd.server.auth.Rights;
import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.http.Requester;
import dev.zeusd.server.http.ResponseHead;
import dev.zeusd.server.http.Routes;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * One client's stream of server-sent events.
 *
 * <p>The thread of the request sleeps until the stream ends. All that the client gets, from the
 * status line on, is written by the thread of its {@link StreamGroup}: the same bytes for every
 * client, and without waiting for anybody. They are chunks of a chunked body or, for clients that
 * speak HTTP/1.0, what is in the chunks.
 */
final class SseStream implements Connection.Stream {
  private static final long STUCK_NANOS = TimeUnit.SECONDS.toNanos(10);
  private static final byte[] LAST_CHUNK = EventChunk.ascii("0\r\n\r\n");

  private final Connection connection;
  private final boolean chunked;
  private final Thread handler = Thread.currentThread();
  private final Instant acceptedUntil;
  private final long openedNanos = System.nanoTime();
  private volatile boolean ended;

  // Touched by the group's thread only.

  /** What comes before the events; null once it has been written. */
  private byte[] head;

  /** Null until the head is written, and what follows can be. */
  private StreamSocket socket;

  /** What the socket has not taken of what was written, or null. */
  private volatile ByteBuffer rest;

  /** Since when nothing could be written. */
  private volatile long stuckSinceNanos;

  /**
   * A stream for the request that the calling thread handles.
   *
   * @param acceptedUntil by the wall clock, when the client's right to it ends
   */
  private SseStream(
      Connection connection,
      ServerRequest request,
      ServerResponse response,
      Instant acceptedUntil) {
    this.connection = connection;
    this.acceptedUntil = acceptedUntil;
    this.chunked = !Routes.isHttp10(request);
    this.head = ResponseHead.ofEvents(response, chunked);
  }

  /**
   * Answers a request by a stream. Throws when that is over, since nothing can follow; also when
   * the token ends, or rules change and do not allow it any more.
   *
   * @param isAllowed what the stream needs
   * @param action what is done with it, until it is over
   */
  static void serve(
      Shares shares,
      ServerRequest request,
      ServerResponse response,
      Requester requester,
      Predicate<Rights> isAllowed,
      Consumer<SseStream> action) {
    requester.onlyWhile(isAllowed);
    Connection connection = requester.connection();
    shares.openStream(connection);
    try {
      SseStream stream = new SseStream(connection, request, response, requester.acceptedUntil());
      if (Routes.isHead(request)) {
        stream.sendHeadOnly();
      }
      connection.beginStream(stream);
      action.accept(stream);
    } finally {
      shares.closeStream(connection);
    }
  }

  /** Sends what comes before the events, and nothing else, as the answer to a HEAD. */
  private void sendHeadOnly() {
    writeWithHead(ByteBuffer.allocate(0));
    throw new CloseConnectionException("nothing follows");
  }

  /** Returns, by an exception, when the stream has ended. */
  void sleepUntilEnded() {
    try {
      while (!ended) {
        LockSupport.park(this);
        if (Thread.interrupted()) {
          throw new CloseConnectionException("interrupted");
        }
      }
    } finally {
      ended = true;
    }
    throw new CloseConnectionException("stream ended");
  }

  // From here on: for the group's thread.

  /** Whether the client's right to it has ended, as the token does that it was opened with. */
  boolean isOverdue(Instant now) {
    return now.isAfter(acceptedUntil);
  }

  boolean isEnded() {
    return ended;
  }

  /** How long the client has been waiting for whatever it gets. */
  long ageNanos() {
    return System.nanoTime() - openedNanos;
  }

  /** Whether a chunk can be written now; tries to get rid of what is left of the last one. */
  boolean isReady() {
    ByteBuffer left = rest;
    if (left != null) {
      int before = left.remaining();
      writeSome(left);
      if (left.remaining() < before) {
        stuckSinceNanos = System.nanoTime();
      }
      rest = left.hasRemaining() ? left : null;
    }
    return rest == null && !ended;
  }

  /** Writes a chunk, while {@link #isReady}; what the socket does not take is kept. */
  void write(ByteBuffer chunk) {
    ByteBuffer bytes = chunked ? chunk : EventChunk.content(chunk);
    if (socket == null) {
      writeWithHead(bytes);
    } else {
      writeOrKeep(bytes);
    }
  }

  private void writeWithHead(ByteBuffer bytes) {
    try {
      socket = StreamSocket.of(connection.client());
      writeOrKeep(ByteBuffer.allocate(head.length + bytes.remaining()).put(head).put(bytes).flip());
      head = null;
    } catch (IOException e) {
      end();
    }
  }

  private void writeOrKeep(ByteBuffer bytes) {
    writeSome(bytes);
    if (bytes.hasRemaining() && !ended) {
      stuckSinceNanos = System.nanoTime();
      // The group's buffer is for the next chunk.
      rest = ByteBuffer.allocate(bytes.remaining()).put(bytes).flip();
    }
  }

  private void writeSome(ByteBuffer bytes) {
    try {
      socket.write(bytes);
    } catch (IOException e) {
      end();
    }
  }

  /**
   * Ends the stream of a client that is gone, or that takes nothing for too long.
   *
   * @param discarded for what it has sent
   */
  void endIfGone(ByteBuffer discarded) {
    if (isStuckFor(STUCK_NANOS)) {
      connection.client().close();
      end();
    } else if (socket != null && !socket.discardInput(discarded)) {
      end();
    }
  }

  /** Ends the stream with the last chunk, if the client can take it. */
  void endProperly() {
    if (isReady()) {
      write(ByteBuffer.wrap(LAST_CHUNK));
    }
    if (rest != null) {
      connection.client().close();
    }
    end();
  }

  // For any thread.

  @Override
  public boolean isStuckFor(long nanos) {
    return rest != null && System.nanoTime() - stuckSinceNanos > nanos;
  }

  @Override
  public void end() {
    ended = true;
    LockSupport.unpark(handler);
  }
}
