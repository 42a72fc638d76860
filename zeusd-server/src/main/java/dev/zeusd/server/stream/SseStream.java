package dev.zeusd.server.stream;

import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.http.Routes;
import io.helidon.common.buffers.BufferData;
import io.helidon.http.DateTime;
import io.helidon.http.Header;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.WritableHeaders;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * One client's stream of server-sent events.
 *
 * <p>The thread of the request sleeps until the stream ends. All that the client gets, from the
 * status line on, is written to the channel by the thread of the {@link StreamGroup}: the same
 * bytes for every client, and without waiting for anybody. They are chunks of a chunked body or,
 * for clients that speak HTTP/1.0, what is in the chunks.
 */
final class SseStream implements Connection.Stream {
  private static final long STUCK_NANOS = TimeUnit.SECONDS.toNanos(10);
  private static final int END_OF_LINE = 2;
  private static final byte[] STATUS_LINE =
      "HTTP/1.1 200 OK\r\nDate: ".getBytes(StandardCharsets.US_ASCII);
  private static final Header EVENT_STREAM =
      HeaderValues.create(HeaderNames.CONTENT_TYPE, "text/event-stream");

  /** No cache may keep it, and no proxy hold it back to compress it. */
  private static final Header NOT_TRANSFORMED =
      HeaderValues.create(HeaderNames.CACHE_CONTROL, "no-cache, no-transform");

  /** To nginx, which would collect some kilobytes before it passes anything on. */
  private static final Header NOT_BUFFERED = HeaderValues.create("X-Accel-Buffering", "no");

  private final SocketChannel channel;
  private final byte[] head;
  private final boolean chunked;
  private final Thread handler = Thread.currentThread();
  private final Instant acceptedUntil;
  private final long openedNanos = System.nanoTime();
  private volatile boolean ended;

  // Touched by the group's thread only.

  /** The head has been written, and what follows can be. */
  private boolean open;

  /** What the socket has not taken of what was written, or null. */
  private ByteBuffer rest;

  /** Since when nothing could be written. */
  private long stuckSinceNanos;

  /** As {@code rest} has it, for other threads. */
  private volatile boolean hasRest;

  /**
   * A stream on {@code channel} for the request that the calling thread handles.
   *
   * @param acceptedUntil by the wall clock, when the client's right to it ends
   */
  SseStream(
      SocketChannel channel,
      ServerRequest request,
      ServerResponse response,
      Instant acceptedUntil) {
    this.channel = channel;
    this.acceptedUntil = acceptedUntil;
    chunked = !Routes.isHttp10(request);
    head = head(response, chunked);
  }

  private static byte[] head(ServerResponse response, boolean chunked) {
    WritableHeaders<?> headers = WritableHeaders.create(response.headers());
    headers.set(EVENT_STREAM).set(NOT_TRANSFORMED).set(NOT_BUFFERED);
    // Whatever the client sends from here on is thrown away, so nothing can follow.
    headers.set(HeaderValues.CONNECTION_CLOSE);
    if (chunked) {
      headers.set(HeaderValues.TRANSFER_ENCODING_CHUNKED);
    }
    BufferData head = BufferData.growing(512);
    head.write(STATUS_LINE);
    head.write(DateTime.http1Bytes());
    headers.forEach(header -> header.writeHttp1Header(head));
    head.write('\r');
    head.write('\n');
    return head.readBytes();
  }

  /** Sends what comes before the events, and nothing else, as the answer to a HEAD. */
  void sendHeadOnly() {
    try {
      channel.write(ByteBuffer.wrap(head));
    } catch (IOException e) {
      throw new CloseConnectionException("the client is gone", e);
    }
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

  boolean isOpen() {
    return open;
  }

  /** Opens the stream, with the events in this chunk. */
  void openWith(ByteBuffer chunk) {
    try {
      channel.configureBlocking(false);
    } catch (IOException e) {
      end();
      return;
    }
    ByteBuffer first = inFrame(chunk);
    open = true;
    stuckSinceNanos = System.nanoTime();
    writeOrKeep(ByteBuffer.allocate(head.length + first.remaining()).put(head).put(first).flip());
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
      if (!rest.hasRemaining()) {
        rest = null;
        hasRest = false;
      }
    }
    return rest == null && !ended;
  }

  /** Writes a chunk, while {@link #isReady}; what the socket does not take is kept. */
  void write(ByteBuffer chunk) {
    writeOrKeep(inFrame(chunk));
  }

  /** The chunk or, for a body that is not chunked, what is in it. */
  private ByteBuffer inFrame(ByteBuffer chunk) {
    if (chunked) {
      return chunk;
    }
    ByteBuffer content = chunk.duplicate();
    while (content.get() != '\n') {
      // The size of the chunk.
    }
    return content.limit(content.limit() - END_OF_LINE);
  }

  private void writeOrKeep(ByteBuffer bytes) {
    writeSome(bytes);
    if (bytes.hasRemaining() && !ended) {
      // The group's buffer is for the next chunk.
      rest = ByteBuffer.allocate(bytes.remaining()).put(bytes).flip();
      hasRest = true;
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
      if (isStuckFor(STUCK_NANOS)) {
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
    if (!open) {
      openWith(lastChunk);
    } else if (isReady()) {
      write(lastChunk);
    }
    if (rest != null) {
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

  @Override
  public boolean isStuckFor(long nanos) {
    return hasRest && System.nanoTime() - stuckSinceNanos > nanos;
  }

  @Override
  public void end() {
    ended = true;
    LockSupport.unpark(handler);
  }
}
