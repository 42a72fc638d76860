package dev.zeusd.server.http;

import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.Subscription;
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
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * One client's stream of server-sent events, on the virtual thread of its request.
 *
 * <p>Everything pending goes out in one write. A second virtual thread waits for the client's end
 * of the connection to close, because otherwise only a failing write would tell.
 */
final class SseStream<S extends PowerSample> {
  private static final Duration HEARTBEAT = Duration.ofMillis(900);
  private static final long STUCK_NANOS = TimeUnit.SECONDS.toNanos(10);

  /** A write that takes longer when the daemon stops is not waited for. */
  private static final long END_GRACE_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  private static final SseEvent HEARTBEAT_COMMENT = SseEvent.builder().comment("").build();

  /** Takes what clients send into a stream; its content means nothing. */
  private static final ByteBuffer DISCARDED = ByteBuffer.allocateDirect(512);

  private final Subscription<S> subscription;
  private final SocketChannel channel;

  /** When the write that runs now began, 0 while none runs. */
  private volatile long writingSinceNanos;

  private volatile boolean ended;

  SseStream(Subscription<S> subscription, SocketChannel channel) {
    this.subscription = subscription;
    this.channel = channel;
  }

  /** Sends each changed value as an event of its own, until the client or the daemon ends it. */
  void runSamples(ServerResponse response, Function<S, SseEvent> event) {
    run(
        response,
        (batch, sink) -> {
          for (S sample : batch) {
            sink.emit(event.apply(sample));
          }
          return !batch.isEmpty();
        });
  }

  /**
   * Sends the values of all devices whenever one changed. The first event waits for the first value
   * of every device, but no longer than a heartbeat: one may be failing.
   */
  void runSnapshots(ServerResponse response, Function<List<S>, byte[]> json) {
    run(response, new SnapshotWriter(json));
  }

  private final class SnapshotWriter implements Writer<S> {
    private final Function<List<S>, byte[]> json;
    private final long openedNanos = System.nanoTime();

    /** A value changed, and no snapshot told it yet. */
    private boolean owed;

    SnapshotWriter(Function<List<S>, byte[]> json) {
      this.json = json;
    }

    @Override
    public boolean write(List<S> batch, SseSink sink) {
      owed |= !batch.isEmpty();
      List<S> current = subscription.current();
      boolean waitedEnough = System.nanoTime() - openedNanos >= HEARTBEAT.toNanos();
      if (!owed
          || current.isEmpty()
          || current.size() < subscription.deviceCount() && !waitedEnough) {
        return false;
      }
      sink.emit(event(json.apply(current)));
      owed = false;
      return true;
    }
  }

  /** Helidon puts nothing behind "data:", while clients look for "data: " with the space. */
  static SseEvent event(byte[] json) {
    byte[] data = new byte[json.length + 1];
    data[0] = ' ';
    System.arraycopy(json, 0, data, 1, json.length);
    return SseEvent.create(data);
  }

  private interface Writer<S> {
    /** Writes what is due after {@code batch}, which may be empty; tells whether anything was. */
    boolean write(List<S> batch, SseSink sink);
  }

  private void run(ServerResponse response, Writer<S> writer) {
    Batching batching = new Batching();
    response.streamFilter(batching::around);
    SseSink sink = response.sink(SseSink.TYPE);
    Thread.ofVirtual().start(this::awaitClientsEnd);
    try {
      while (!subscription.isClosed()) {
        List<S> batch = subscription.poll(HEARTBEAT);
        writingSinceNanos = System.nanoTime() | 1;
        boolean wrote = writer.write(batch, sink);
        if (!wrote && batch.isEmpty()) {
          sink.emit(HEARTBEAT_COMMENT);
        }
        batching.flushBatch();
        writingSinceNanos = 0;
      }
    } catch (InterruptedException
        | IOException
        | UncheckedIOException
        | ServerConnectionException
        | SocketWriterException e) {
      // The client is gone, or was stuck and dropped: nothing more can be sent.
      throw new CloseConnectionException("stream ended", e);
    }
    if (ended) {
      sink.close();
    }
    throw new CloseConnectionException("stream ended");
  }

  private void awaitClientsEnd() {
    try {
      while (channel.read(DISCARDED.duplicate().clear()) >= 0) {
        // Nothing that a client sends into a stream has a meaning.
      }
    } catch (IOException e) {
      // Closed or reset: the same to us.
    }
    subscription.close();
  }

  /** Closes the connection of a client that has not taken a byte for too long. */
  void dropIfStuck() {
    long since = writingSinceNanos;
    if (since != 0 && System.nanoTime() - since > STUCK_NANOS) {
      close();
    }
  }

  /** Ends the stream because the daemon stops. */
  void end() {
    ended = true;
    long since = writingSinceNanos;
    if (since != 0 && System.nanoTime() - since > END_GRACE_NANOS) {
      close();
    }
    subscription.close();
  }

  private void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
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
