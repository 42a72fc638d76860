package dev.zeusd.server.http;

import io.helidon.common.socket.SocketWriterException;
import io.helidon.http.sse.SseEvent;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.ServerConnectionException;
import io.helidon.webserver.http.ServerResponse;
import io.helidon.webserver.sse.SseSink;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * One client's stream of server-sent events.
 *
 * <p>Helidon opens it, with the first events, on the thread of the request, which then sleeps until
 * the stream ends. All that follows is written to the channel by the thread of the {@link
 * StreamGroup}: the same bytes for every client, as chunks of the response's chunked body, and
 * without waiting for anybody.
 */
final class SseStream {
  private static final long STUCK_NANOS = TimeUnit.SECONDS.toNanos(10);
  private static final SseEvent COMMENT = SseEvent.builder().comment("").build();

  private final SocketChannel channel;
  private final Thread handler = Thread.currentThread();
  private final Instant acceptedUntil;
  private final long openedNanos = System.nanoTime();

  /** What the handler opens the stream with, once it is known; no event at all is a comment. */
  private volatile List<byte[]> first;

  /** The handler has opened the stream, and the group writes from now on. */
  private volatile boolean open;

  private volatile boolean ended;

  // Touched by the group's thread only.

  /** What the socket has not taken of a chunk, or null. */
  private ByteBuffer rest;

  /** Since when nothing could be written. */
  private long stuckSinceNanos;

  private boolean endedProperly;

  /**
   * A stream for the request that the calling thread handles.
   *
   * @param acceptedUntil by the wall clock, when the client's right to it ends
   */
  SseStream(SocketChannel channel, Instant acceptedUntil) {
    this.channel = channel;
    this.acceptedUntil = acceptedUntil;
  }

  /** Opens the stream as soon as there is something to say, and returns when it has ended. */
  void run(ServerResponse response) {
    try {
      Batching batching = new Batching();
      response.streamFilter(batching::around);
      SseSink sink = response.sink(SseSink.TYPE);
      sleepUntilWanted(() -> first != null || ended);
      if (ended) {
        sink.close();
        throw new CloseConnectionException("the daemon stops");
      }
      if (first.isEmpty()) {
        sink.emit(COMMENT);
      }
      first.forEach(json -> sink.emit(event(json)));
      batching.flushBatch();
      channel.configureBlocking(false);
      open = true;
      sleepUntilWanted(() -> ended);
    } catch (IOException
        | UncheckedIOException
        | ServerConnectionException
        | SocketWriterException e) {
      // The client is gone, or was stuck and dropped: nothing more can be sent.
      throw new CloseConnectionException("stream ended", e);
    } finally {
      ended = true;
    }
    throw new CloseConnectionException("stream ended");
  }

  private interface Condition {
    boolean isMet();
  }

  private void sleepUntilWanted(Condition condition) {
    while (!condition.isMet()) {
      LockSupport.park(this);
      if (Thread.interrupted()) {
        throw new CloseConnectionException("interrupted");
      }
    }
  }

  /** Helidon puts nothing behind "data:", while clients look for "data: " with the space. */
  private static SseEvent event(byte[] json) {
    byte[] data = new byte[json.length + 1];
    data[0] = ' ';
    System.arraycopy(json, 0, data, 1, json.length);
    return SseEvent.create(data);
  }

  // From here on: for the group's thread.

  boolean hasFirst() {
    return first != null;
  }

  /** Lets the handler open the stream with these events. */
  void openWith(List<byte[]> events) {
    stuckSinceNanos = System.nanoTime();
    first = events;
    LockSupport.unpark(handler);
  }

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
    if (!open) {
      return false;
    }
    if (rest != null) {
      writeSome(rest);
      rest = rest.hasRemaining() ? rest : null;
    }
    return rest == null && !ended;
  }

  /** Writes a chunk, while {@link #isReady}; what the socket does not take is kept. */
  void write(ByteBuffer chunk) {
    writeSome(chunk);
    if (chunk.hasRemaining() && !ended) {
      // The group's buffer is for the next chunk.
      rest = ByteBuffer.allocate(chunk.remaining()).put(chunk).flip();
    }
  }

  private void writeSome(ByteBuffer bytes) {
    try {
      if (channel.write(bytes) > 0) {
        stuckSinceNanos = System.nanoTime();
      }
    } catch (IOException e) {
      end();
    }
  }

  /** Ends the stream of a client that is gone, or that takes nothing for too long. */
  void endIfGone(ByteBuffer discarded) {
    try {
      if ((rest != null || hasFirst() && !open)
          && System.nanoTime() - stuckSinceNanos > STUCK_NANOS) {
        channel.close();
        end();
      }
      // Nothing that a client sends into a stream has a meaning.
      if (open && channel.read(discarded.clear()) < 0) {
        end();
      }
    } catch (IOException e) {
      // Closed or reset: the same to us.
      end();
    }
  }

  /** Ends the stream with the last chunk, if the client can take it. */
  void endProperly(ByteBuffer lastChunk) {
    if (isReady()) {
      writeSome(lastChunk);
    } else if (hasFirst()) {
      closeChannel();
    }
    end();
  }

  private void closeChannel() {
    try {
      channel.close();
    } catch (IOException e) {
      // It is closed even so.
    }
  }

  private void end() {
    ended = true;
    LockSupport.unpark(handler);
  }

  /** Makes flushes wait until a batch is complete: the sink flushes after every event. */
  private static final class Batching {
    private OutputStream out = OutputStream.nullOutputStream();

    OutputStream around(OutputStream target) {
      out = target;
      return new FilterOutputStream(target) {
        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
          target.write(bytes, offset, length);
        }

        @Override
        public void flush() {
          // Not yet.
        }
      };
    }

    void flushBatch() throws IOException {
      out.flush();
    }
  }
}
