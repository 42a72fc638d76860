package dev.zeusd.server.stream;

import dev.zeusd.core.sampling.Board;
import dev.zeusd.core.sampling.Bookmark;
import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.Subscription;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/**
 * The streams of the same devices in the same dialect: one subscription, and for each tick one
 * piece of text that is written to all of them who have seen as much so far.
 *
 * <p>Nobody waits for a client. One that does not take what it is sent falls behind by itself: it
 * keeps its old {@link Bookmark}, and is told the latest values when it goes on.
 *
 * <p>Thread-safe: one thread at a time does a {@link #step}.
 */
final class PowerGroup<S extends PowerSample> implements StreamGroup {
  private static final long HEARTBEAT_NANOS = TimeUnit.MILLISECONDS.toNanos(900);

  /**
   * How often to look for clients that are gone, if there is a step; and there is at each
   * heartbeat.
   */
  private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  /** How soon to try again while a client does not take what it is sent. */
  private static final long RETRY_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  /** A step that takes no longer may be done by the thread that has read the devices. */
  private static final long SHORT_STEP_NANOS = 500_000;

  private final Subscription<S> subscription;
  private final Dialect<S> dialect;
  private final Queue<SseStream> newcomers = new ConcurrentLinkedQueue<>();
  private final ReentrantLock stepping = new ReentrantLock();

  // Guarded by this.
  private boolean over;

  // Guarded by stepping.
  private final List<Member> members = new ArrayList<>();
  private final ByteBuffer discarded = ByteBuffer.allocateDirect(512);
  private final ByteBuffer comment = EventChunk.comment();
  private final NewsChunks<S> chunks;
  private long lookedNanos = System.nanoTime();

  /** How long the last step took. */
  private volatile long stepNanos;

  /**
   * A group of one stream.
   *
   * @param subscriber gets what to call when there is news, and subscribes to the devices
   * @param onNews called when a {@link #step} is due
   */
  PowerGroup(
      SseStream first,
      Function<Runnable, Subscription<S>> subscriber,
      Dialect<S> dialect,
      Runnable onNews) {
    this.dialect = dialect;
    newcomers.add(first);
    // The first news may come before this knows what it is subscribed to.
    stepping.lock();
    try {
      subscription = subscriber.apply(() -> stepOrCall(onNews));
      chunks = new NewsChunks<>(subscription, dialect);
    } finally {
      stepping.unlock();
    }
  }

  /** A stream, and what its client has been told. */
  private final class Member {
    final SseStream stream;
    final Bookmark<S> bookmark = subscription.newBookmark();
    long writtenNanos;

    Member(SseStream stream, long nowNanos) {
      this.stream = stream;
      this.writtenNanos = nowNanos - stream.ageNanos();
    }

    /** Whether its first event is put off, since it is to show all devices. */
    boolean waits(Board<S> board) {
      return dialect.showsAll()
          && !bookmark.hasSeenAll()
          && stream.ageNanos() < HEARTBEAT_NANOS
          && !bookmark.canSeeAll(board);
    }

    void write(ByteBuffer text, long nowNanos) {
      stream.write(text);
      writtenNanos = nowNanos;
    }
  }

  @Override
  public synchronized boolean join(SseStream stream) {
    if (over || subscription.isClosed()) {
      return false;
    }
    newcomers.add(stream);
    return true;
  }

  @Override
  public void close() {
    subscription.close();
  }

  /**
   * On a thread that reads devices: to wake another one takes longer than to write to a few
   * clients.
   */
  private void stepOrCall(Runnable onNews) {
    boolean isDone = false;
    if (stepNanos <= SHORT_STEP_NANOS && !stepping.isHeldByCurrentThread() && stepping.tryLock()) {
      try {
        stepWithTurn();
        isDone = !members.isEmpty();
      } finally {
        stepping.unlock();
      }
    }
    if (!isDone) {
      onNews.run();
    }
  }

  @Override
  public long step() {
    stepping.lock();
    try {
      return stepWithTurn();
    } finally {
      stepping.unlock();
    }
  }

  private long stepWithTurn() {
    long start = System.nanoTime();
    welcomeNewcomers(start);
    long pauseNanos = tell(start);
    if (start - lookedNanos >= LOOK_NANOS) {
      lookedNanos = start;
      lookForGoneOnes();
    }
    if (subscription.isClosed()) {
      end();
    }
    stepNanos = System.nanoTime() - start;
    return pauseNanos;
  }

  @Override
  public boolean isOver() {
    stepping.lock();
    try {
      synchronized (this) {
        over |= members.isEmpty() && newcomers.isEmpty();
        return over;
      }
    } finally {
      stepping.unlock();
    }
  }

  private void end() {
    synchronized (this) {
      over = true;
    }
    welcomeNewcomers(System.nanoTime());
    for (Member member : members) {
      member.stream.endProperly();
    }
    members.clear();
  }

  private void welcomeNewcomers(long nowNanos) {
    SseStream newcomer = newcomers.poll();
    if (newcomer != null) {
      // Before the board is looked at, so that no read falls in between.
      subscription.wantEveryRead(true);
    }
    for (; newcomer != null; newcomer = newcomers.poll()) {
      members.add(new Member(newcomer, nowNanos));
    }
  }

  private long tell(long nowNanos) {
    Board<S> board = subscription.board();
    long pauseNanos = HEARTBEAT_NANOS;
    boolean haveAllSeenAll = true;
    boolean hasEnded = false;
    for (Member member : members) {
      boolean isReady = member.stream.isReady();
      if (isReady && !member.waits(board)) {
        ByteBuffer text = chunks.take(member.bookmark, board);
        if (text == null && nowNanos - member.writtenNanos >= HEARTBEAT_NANOS) {
          text = comment.rewind();
        }
        if (text != null) {
          member.write(text, nowNanos);
        }
      }
      long silentUntil = member.writtenNanos + HEARTBEAT_NANOS - nowNanos;
      pauseNanos = Math.min(pauseNanos, isReady ? silentUntil : RETRY_NANOS);
      haveAllSeenAll &= member.bookmark.hasSeenAll();
      hasEnded |= member.stream.isEnded();
    }
    subscription.wantEveryRead(!haveAllSeenAll);
    if (hasEnded) {
      forgetEnded();
    }
    return Math.max(0, pauseNanos);
  }

  private void lookForGoneOnes() {
    Instant wallClock = Instant.now();
    for (Member member : members) {
      member.stream.endIfGone(discarded);
      if (member.stream.isOverdue(wallClock)) {
        member.stream.endProperly();
      }
    }
    forgetEnded();
  }

  private void forgetEnded() {
    members.removeIf(member -> member.stream.isEnded());
  }
}
