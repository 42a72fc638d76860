package dev.zeusd.server.http;

import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.Subscription;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;

/**
 * The streams of the same devices in the same dialect: one subscription, one virtual thread, and
 * for each tick one piece of text that is written to all of them.
 *
 * <p>The thread never waits for a client. One that does not take what it is sent falls behind by
 * itself: then its newest values are kept for it, one for each device, until it goes on.
 */
final class StreamGroup<S extends PowerSample> {
  private static final long HEARTBEAT_NANOS = TimeUnit.MILLISECONDS.toNanos(900);

  /**
   * How often to look for clients that are gone, since nothing else tells while power is steady.
   */
  private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  /** How soon to try again while somebody waits for something. */
  private static final long RETRY_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  private static final byte[] DATA = "data: ".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] CHUNK_OF_A_COMMENT =
      "3\r\n:\n\n\r\n".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] LAST_CHUNK = "0\r\n\r\n".getBytes(StandardCharsets.US_ASCII);

  /** How changes become events. */
  interface Dialect<S> {
    /**
     * The JSON of the events that tell of {@code changed}.
     *
     * @param current the newest value of each device that has one
     */
    List<byte[]> events(List<S> changed, List<S> current);

    /** Whether an event shows all devices, and the first one has to wait for their values. */
    boolean showsAll();
  }

  private final Subscription<S> subscription;
  private final int[] ids;
  private final Dialect<S> dialect;
  private final Queue<SseStream> newcomers = new ConcurrentLinkedQueue<>();
  private boolean over;

  private final List<Member> members = new ArrayList<>();
  private final Object[] told;
  private final ByteBuffer discarded = ByteBuffer.allocateDirect(512);
  private ByteBuffer chunk = ByteBuffer.allocateDirect(1024);
  private long toldNanos = System.nanoTime();
  private long lookedNanos = System.nanoTime();

  /**
   * A group without members.
   *
   * @param ids what {@code subscription} is for, ascending
   */
  StreamGroup(Subscription<S> subscription, List<Integer> ids, Dialect<S> dialect) {
    this.subscription = subscription;
    this.ids = ids.stream().mapToInt(Integer::intValue).toArray();
    this.dialect = dialect;
    this.told = new Object[ids.size()];
  }

  /** A stream, and where it differs from what the group as a whole has told. */
  private final class Member {
    final SseStream stream;

    /** The last value that this one was told of each device; null once it is the group's. */
    private Object[] own = new Object[ids.length];

    /** What is to be told when it can be, by device. */
    private final Object[] owed = new Object[ids.length];

    private boolean owes;

    Member(SseStream stream) {
      this.stream = stream;
    }

    void take(List<S> batch) {
      for (S sample : batch) {
        int i = index(sample);
        Object last = own == null ? told[i] : own[i];
        if (isNews(sample, last)) {
          owed[i] = sample;
          owes = true;
        }
        if (own != null) {
          own[i] = sample;
        }
      }
    }

    /** What was pending when it came is told by the first batch after that. */
    void joinGroup() {
      if (own != null && !isMissingSome()) {
        own = null;
      }
    }

    boolean isMissingSome() {
      return own != null && Arrays.asList(own).contains(null);
    }

    boolean takesWhatTheGroupTells() {
      return own == null && !owes && stream.isReady();
    }

    /** Tells what is owed, if the client can take it. */
    void tell() {
      boolean waits = dialect.showsAll() && isMissingSome() && stream.ageNanos() < HEARTBEAT_NANOS;
      if (!stream.isOpen()) {
        if (owes && !waits) {
          stream.openWith(chunkOf(takeOwed()));
        } else if (stream.ageNanos() >= HEARTBEAT_NANOS) {
          stream.openWith(chunkOfAComment());
        }
      } else if (owes && !waits && stream.isReady()) {
        stream.write(chunkOf(takeOwed()));
      }
    }

    @SuppressWarnings("unchecked")
    private List<byte[]> takeOwed() {
      List<S> samples = new ArrayList<>();
      for (int i = 0; i < owed.length; i++) {
        if (owed[i] != null) {
          samples.add((S) owed[i]);
          owed[i] = null;
        }
      }
      owes = false;
      return dialect.events(samples, subscription.current());
    }

    boolean isInAHurry() {
      return owes || !stream.isReady();
    }
  }

  private int index(S sample) {
    return Arrays.binarySearch(ids, sample.id());
  }

  private boolean isNews(S sample, Object last) {
    return last == null || sample != last && !sample.samePower((PowerSample) last);
  }

  /** Adds a stream; false if the group is over, since its last stream has ended. */
  synchronized boolean join(SseStream stream) {
    if (over || subscription.isClosed()) {
      return false;
    }
    newcomers.add(stream);
    return true;
  }

  /** Ends the group, and its streams properly, with the next step. */
  void close() {
    subscription.close();
  }

  /** Does what is due; gives the ns until something is due again, unless there is news before. */
  long step() {
    tell(subscription.pollNow());
    welcomeNewcomers();
    lookForGoneOnes();
    if (subscription.isClosed()) {
      end();
    }
    return pauseNanos();
  }

  /** Whether all streams have ended; then it has to be closed. */
  synchronized boolean isOver() {
    over |= members.isEmpty() && newcomers.isEmpty();
    return over;
  }

  private void end() {
    synchronized (this) {
      over = true;
    }
    welcomeNewcomers();
    for (Member member : members) {
      member.stream.endProperly(ByteBuffer.wrap(LAST_CHUNK));
    }
    members.clear();
  }

  private long pauseNanos() {
    for (Member member : members) {
      if (member.isInAHurry()) {
        return RETRY_NANOS;
      }
    }
    return Math.clamp(toldNanos + HEARTBEAT_NANOS - System.nanoTime(), 0, LOOK_NANOS);
  }

  private void tell(List<S> batch) {
    List<S> news = batch.stream().filter(sample -> isNews(sample, told[index(sample)])).toList();
    ByteBuffer shared =
        news.isEmpty() ? null : chunkOf(dialect.events(news, subscription.current()));
    boolean silent = shared == null && System.nanoTime() - toldNanos >= HEARTBEAT_NANOS;
    if (silent) {
      shared = chunkOfAComment();
    }
    List<Member> others = null;
    for (Member member : members) {
      if (shared != null
          && (member.takesWhatTheGroupTells() || silent && member.stream.isReady())) {
        member.stream.write(shared.rewind());
      } else {
        others = others == null ? new ArrayList<>() : others;
        others.add(member);
      }
    }
    if (shared != null) {
      toldNanos = System.nanoTime();
    }
    if (others != null) {
      tellOneByOne(others, batch);
    }
    for (S sample : news) {
      told[index(sample)] = sample;
    }
  }

  private void tellOneByOne(List<Member> others, List<S> batch) {
    for (Member member : others) {
      member.take(batch);
      member.tell();
      if (!batch.isEmpty()) {
        member.joinGroup();
      }
    }
  }

  private void welcomeNewcomers() {
    SseStream newcomer = newcomers.poll();
    if (newcomer == null) {
      return;
    }
    List<S> current = subscription.refresh();
    for (; newcomer != null; newcomer = newcomers.poll()) {
      Member member = new Member(newcomer);
      members.add(member);
      member.take(current);
      member.tell();
    }
  }

  private void lookForGoneOnes() {
    long now = System.nanoTime();
    if (now - lookedNanos >= LOOK_NANOS) {
      lookedNanos = now;
      Instant wallClock = Instant.now();
      for (Member member : members) {
        member.stream.endIfGone(discarded);
        if (member.stream.isOverdue(wallClock)) {
          member.stream.endProperly(ByteBuffer.wrap(LAST_CHUNK));
        }
      }
    }
    members.removeIf(member -> member.stream.isEnded());
  }

  private ByteBuffer chunkOfAComment() {
    return chunk.clear().put(CHUNK_OF_A_COMMENT).flip();
  }

  /** The events as one chunk of a chunked body, in the group's own buffer. */
  private ByteBuffer chunkOf(List<byte[]> events) {
    int length = 0;
    for (byte[] json : events) {
      length += DATA.length + json.length + 2;
    }
    byte[] size = Integer.toHexString(length).getBytes(StandardCharsets.US_ASCII);
    int needed = size.length + 2 + length + 2;
    if (chunk.capacity() < needed) {
      chunk = ByteBuffer.allocateDirect(2 * needed);
    }
    chunk.clear().put(size).put((byte) '\r').put((byte) '\n');
    for (byte[] json : events) {
      chunk.put(DATA).put(json).put((byte) '\n').put((byte) '\n');
    }
    return chunk.put((byte) '\r').put((byte) '\n').flip();
  }
}
