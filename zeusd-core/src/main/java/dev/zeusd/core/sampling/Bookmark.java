package dev.zeusd.core.sampling;

import dev.zeusd.core.worker.NanoClock;
import java.util.ArrayList;
import java.util.List;

/**
 * How far one reader of a {@link Board} has come: the stamp of the board it has read last. Whoever
 * takes nothing for a while keeps an old one, and gets the latest values with the next board.
 *
 * <p>A reader that has just come also remembers of which devices it has seen nothing at all: it
 * gets their next value even if that has not changed.
 *
 * <p>For one thread at a time.
 *
 * @param <S> the samples
 */
public final class Bookmark<S extends PowerSample> {
  private final int[] devices;
  private final long freshNanos;
  private final NanoClock clock;
  private long seenStamp;

  /** Whether there was a value of each device, by place in {@code devices}; null once of all. */
  private boolean[] seen;

  private int unseenDevices;

  /**
   * Nothing seen.
   *
   * @param devices indices, ascending
   * @param freshNanos how old a value may be that a newcomer gets
   */
  Bookmark(int[] devices, long freshNanos, NanoClock clock) {
    this.devices = devices;
    this.freshNanos = freshNanos;
    this.clock = clock;
    this.seen = new boolean[devices.length];
    this.unseenDevices = devices.length;
  }

  /** {@return the stamp of the last board that was taken from} */
  public long seenStamp() {
    return seenStamp;
  }

  /** {@return whether there was a value of each device by now} */
  public boolean hasSeenAll() {
    return unseenDevices == 0;
  }

  /**
   * {@return whether a board has a value of each device that there was none of so far}
   *
   * @param board a board of the same devices
   */
  public boolean canSeeAll(Board<S> board) {
    for (int i = 0; unseenDevices > 0 && i < devices.length; i++) {
      if (!seen[i] && !isFresh(board.entry(devices[i]))) {
        return false;
      }
    }
    return true;
  }

  private boolean isFresh(Board.Entry<S> entry) {
    return entry != null && entry.answers() && clock.nanoTime() - entry.readNanos() <= freshNanos;
  }

  /**
   * Takes what is new on a board without looking at it: somebody who had seen as much has.
   *
   * @param board a board of the same devices
   */
  public void skipTo(Board<S> board) {
    seenStamp = board.stamp();
  }

  /**
   * {@return what is new on a board, by ascending id; it is not new again}
   *
   * @param board a board of the same devices
   */
  public List<S> take(Board<S> board) {
    if (board.stamp() == seenStamp && unseenDevices == 0) {
      return List.of();
    }
    List<S> news = List.of();
    for (int i = 0; i < devices.length; i++) {
      Board.Entry<S> entry = board.entry(devices[i]);
      if (entry != null && isNews(entry, i)) {
        news = news.isEmpty() ? new ArrayList<>(devices.length) : news;
        news.add(entry.sample());
      }
    }
    seenStamp = board.stamp();
    return news;
  }

  private boolean isNews(Board.Entry<S> entry, int i) {
    if (unseenDevices == 0 || seen[i]) {
      return entry.changedAt() > seenStamp;
    }
    if (!isFresh(entry)) {
      return false;
    }
    seen[i] = true;
    if (--unseenDevices == 0) {
      seen = null;
    }
    return true;
  }
}
