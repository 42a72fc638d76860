package dev.zeusd.server.http;

import dev.zeusd.core.settings.Lease;
import dev.zeusd.server.Limits;
import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.connection.TryLater;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Streams that keep leases: one is kept for as long as its client stays. One thread, which there is
 * while there are streams, notices at once that a client leaves, and says every second that the
 * daemon is still there.
 */
final class LeaseStreams implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(LeaseStreams.class.getName());
  private static final long BEAT_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final int STUCK_BEATS = 10;

  /**
   * Of one lease. As there are only so many settings to lease, nobody can take all streams; and who
   * comes anew while an old connection is still thought to be open has room.
   */
  private static final int MOST_OF_A_LEASE = 4;

  private final int most;
  private final Set<Kept> streams = ConcurrentHashMap.newKeySet();
  private final ByteBuffer discarded = ByteBuffer.allocate(1024);

  // Guarded by this.
  private Selector selector;
  private boolean closed;

  /** At most {@code most} at a time. */
  LeaseStreams(int most) {
    this.most = most;
  }

  /** One stream; its handler sleeps until it has ended. */
  private static final class Kept implements Connection.Stream {
    final SocketChannel channel;
    final Lease lease;
    final Lease.Keeper keeper;
    final boolean chunked;
    final Instant acceptedUntil;
    final Thread handler = Thread.currentThread();
    final long sinceNanos = System.nanoTime();
    volatile boolean ended;
    volatile int missedBeats;

    Kept(SocketChannel channel, Lease lease, boolean chunked, Instant acceptedUntil) {
      this.channel = channel;
      this.lease = lease;
      this.chunked = chunked;
      this.acceptedUntil = acceptedUntil;
      this.keeper = lease.keep();
    }

    /** Whether it was taken as a whole. */
    boolean send(String text) {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      String chunk = chunked ? Integer.toHexString(bytes.length) + "\r\n" + text + "\r\n" : text;
      return write(chunk.getBytes(StandardCharsets.UTF_8));
    }

    boolean write(byte[] bytes) {
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      try {
        channel.write(buffer);
      } catch (IOException e) {
        end();
        return false;
      }
      if (buffer.position() > 0 && buffer.hasRemaining()) {
        // What follows would not be understood.
        end();
      }
      return !buffer.hasRemaining();
    }

    @Override
    public boolean isStuckFor(long nanos) {
      return missedBeats * BEAT_NANOS > nanos;
    }

    @Override
    public void end() {
      ended = true;
      LockSupport.unpark(handler);
    }
  }

  /** Answers a request by keeping {@code lease}; returns, by an exception, when that is over. */
  void keep(
      ServerRequest request,
      ServerResponse response,
      Connection connection,
      Lease lease,
      Instant acceptedUntil) {
    SocketChannel channel = connection.channel();
    boolean chunked = !Routes.isHttp10(request);
    byte[] head = ResponseHead.ofEvents(response, chunked);
    if (streams.size() >= most) {
      throw TryLater.refusal(
          Status.SERVICE_UNAVAILABLE_503,
          "there are "
              + most
              + " streams that keep leases, and no more at a time; use POST /lease/renew",
          Limits.LATER);
    }
    // From here on nothing else can be answered.
    if (Routes.isHead(request)) {
      answerHead(channel, head);
    }
    Kept stream = new Kept(channel, lease, chunked, acceptedUntil);
    try {
      channel.configureBlocking(false);
      connection.beginStream(stream);
      stream.write(head);
      stream.send(event(lease, "held"));
      add(stream);
      endOldest(lease);
      sleepUntilEnded(stream);
    } catch (IOException e) {
      throw new CloseConnectionException("the client is gone", e);
    } finally {
      stream.ended = true;
      streams.remove(stream);
      stream.keeper.close();
    }
    throw new CloseConnectionException("stream ended");
  }

  /** Who asks what a stream would be like does not keep the lease. */
  private static void answerHead(SocketChannel channel, byte[] head) {
    try {
      channel.write(ByteBuffer.wrap(head));
    } catch (IOException e) {
      throw new CloseConnectionException("the client is gone", e);
    }
    throw new CloseConnectionException("nothing follows");
  }

  private static String event(Lease lease, String state) {
    return "data: " + new String(LeaseJson.event(lease, state), StandardCharsets.UTF_8) + "\n\n";
  }

  private void endOldest(Lease lease) {
    List<Kept> ofLease =
        streams.stream()
            .filter(stream -> stream.lease == lease && !stream.ended)
            .sorted((a, b) -> Long.compare(a.sinceNanos - b.sinceNanos, 0))
            .toList();
    ofLease.stream().limit(Math.max(0, ofLease.size() - MOST_OF_A_LEASE)).forEach(Kept::end);
  }

  private static void sleepUntilEnded(Kept stream) {
    while (!stream.ended) {
      LockSupport.park(stream);
      if (Thread.interrupted()) {
        throw new CloseConnectionException("interrupted");
      }
    }
  }

  private synchronized void add(Kept stream) {
    if (closed) {
      throw new CloseConnectionException("the daemon is stopping");
    }
    streams.add(stream);
    try {
      if (selector == null) {
        selector = Selector.open();
        Selector own = selector;
        // It waits for all clients at once, in a call that a virtual thread had better not make.
        Thread.ofPlatform().daemon().name("lease streams").start(() -> serve(own));
      }
      selector.wakeup();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void serve(Selector own) {
    try (own) {
      long beat = System.nanoTime() + BEAT_NANOS;
      do {
        streams.forEach(stream -> register(own, stream));
        long restMillis = TimeUnit.NANOSECONDS.toMillis(beat - System.nanoTime());
        own.select(this::read, Math.max(1, restMillis));
        if (beat - System.nanoTime() <= 0) {
          beat = System.nanoTime() + BEAT_NANOS;
          streams.forEach(this::beat);
        }
      } while (!endIfIdle());
    } catch (IOException | RuntimeException e) {
      LOG.log(System.Logger.Level.ERROR, "unexpected failure of streams of leases", e);
      endAll();
    }
  }

  private static void register(Selector own, Kept stream) {
    try {
      if (!stream.ended && stream.channel.keyFor(own) == null) {
        stream.channel.register(own, SelectionKey.OP_READ, stream);
      }
    } catch (IOException e) {
      stream.end();
    }
  }

  /** Nothing that a client sends into a stream has a meaning; but its leaving has. */
  private void read(SelectionKey key) {
    Kept stream = (Kept) key.attachment();
    try {
      if (stream.channel.read(discarded.clear()) < 0) {
        key.cancel();
        stream.end();
      }
    } catch (IOException e) {
      key.cancel();
      stream.end();
    }
  }

  private void beat(Kept stream) {
    if (stream.lease.isEnded() || Instant.now().isAfter(stream.acceptedUntil)) {
      stream.send(stream.lease.isEnded() ? event(stream.lease, "ended") : ": the token ends\n\n");
      stream.write((stream.chunked ? "0\r\n\r\n" : "").getBytes(StandardCharsets.US_ASCII));
      stream.end();
    } else if (stream.send(":\n\n")) {
      stream.missedBeats = 0;
    } else {
      miss(stream);
    }
  }

  private static void miss(Kept stream) {
    int missed = stream.missedBeats + 1;
    stream.missedBeats = missed;
    if (missed == STUCK_BEATS) {
      stream.end();
    }
  }

  private synchronized boolean endIfIdle() {
    if (streams.isEmpty()) {
      selector = null;
    }
    return selector == null;
  }

  private synchronized void endAll() {
    selector = null;
    streams.forEach(Kept::end);
  }

  /** Ends all streams; the leases go on for their TTL. */
  @Override
  public synchronized void close() {
    closed = true;
    streams.forEach(Kept::end);
  }
}
