package dev.zeusd.server.stream;

import dev.zeusd.core.settings.Lease;
import dev.zeusd.server.http.LeaseJson;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The streams that keep one lease: they say each second that the daemon is still there. */
final class LeaseGroup implements StreamGroup {
  private static final long BEAT_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** How often to look for clients that are gone. */
  private static final long LOOK_NANOS = BEAT_NANOS / 4;

  /**
   * As there are only so many settings to lease, nobody can take all streams; and who comes anew
   * while an old connection is still thought to be open has room.
   */
  private static final int MOST = 4;

  private final Lease lease;
  private final EventChunk events = new EventChunk();
  private final ByteBuffer comment = EventChunk.comment();
  private final ByteBuffer discarded = ByteBuffer.allocateDirect(512);

  // Guarded by this.
  private final List<SseStream> newcomers = new ArrayList<>();
  private final List<SseStream> streams = new ArrayList<>();
  private long beatNanos = System.nanoTime();
  private boolean closed;

  /** A group of one stream. */
  LeaseGroup(Lease lease, SseStream first) {
    this.lease = lease;
    newcomers.add(first);
  }

  @Override
  public synchronized boolean join(SseStream stream) {
    return !closed && newcomers.add(stream);
  }

  @Override
  public synchronized long step() {
    long now = System.nanoTime();
    for (SseStream newcomer : newcomers) {
      tell(newcomer, "held");
      streams.add(newcomer);
    }
    newcomers.clear();
    streams.stream().limit(Math.max(0, streams.size() - MOST)).forEach(SseStream::end);
    boolean isOver = closed || lease.isEnded();
    boolean isBeat = now - beatNanos >= BEAT_NANOS;
    Instant wallClock = Instant.now();
    for (SseStream stream : streams) {
      stream.endIfGone(discarded);
      if (isOver || stream.isOverdue(wallClock)) {
        end(stream);
      } else if (isBeat && stream.isReady()) {
        stream.write(comment.rewind());
      }
    }
    streams.removeIf(SseStream::isEnded);
    beatNanos = isBeat ? now : beatNanos;
    return LOOK_NANOS;
  }

  private void tell(SseStream stream, String state) {
    if (stream.isReady()) {
      events.clear();
      events.beginEvent().text(LeaseJson.event(lease, state)).endEvent();
      stream.write(events.frame());
    }
  }

  private void end(SseStream stream) {
    if (lease.isEnded()) {
      tell(stream, "ended");
    }
    stream.endProperly();
  }

  @Override
  public synchronized boolean isOver() {
    boolean isEmpty = streams.isEmpty() && newcomers.isEmpty();
    closed |= isEmpty;
    return isEmpty;
  }

  @Override
  public synchronized void close() {
    closed = true;
  }
}
