package dev.zeusd.core.history;

import java.util.Arrays;
import java.util.OptionalLong;

/**
 * The newest readings of one device, so many and no more. A reading takes 8 bytes, and 4 more where
 * it has two values.
 *
 * <p>Thread-safe. Whoever reads holds up whoever adds for some microseconds at most.
 */
final class PowerRing {
  /** Of the time and the first value; the array of the second one is {@link #SECOND_BYTES} each. */
  static final int FIRST_BYTES = Integer.BYTES + Float.BYTES;

  static final int SECOND_BYTES = Float.BYTES;

  /** So many are read without letting others in. */
  private static final int PIECE = 4096;

  // Guarded by this.
  private final int[] sinceBaseMs;

  /** In mW: a float is exact up to 16 kW. */
  private final float[] first;

  /** NaN where there is none; null as long as there was none at all. */
  private float[] second;

  private long baseMs;
  private long newestMs;

  /** How many were added; the newest of them are there. */
  private long added;

  /** Nothing so far. */
  PowerRing(int capacity) {
    sinceBaseMs = new int[capacity];
    first = new float[capacity];
  }

  int capacity() {
    return first.length;
  }

  /** Takes a reading. */
  interface Visitor {
    /**
     * Takes one.
     *
     * @param secondMw NaN if there is none
     */
    void visit(long timestampMs, float firstMw, float secondMw);
  }

  /**
   * Adds a reading; one that is not newer than all others is left out.
   *
   * @param secondMw NaN if there is none
   */
  synchronized void add(long timestampMs, float firstMw, float secondMw) {
    if (added > 0 && timestampMs <= newestMs) {
      return;
    }
    if (added == 0) {
      baseMs = timestampMs;
    } else if (timestampMs - baseMs > Integer.MAX_VALUE) {
      moveBase(timestampMs);
    }
    if (second == null && !Float.isNaN(secondMw)) {
      second = new float[first.length];
      Arrays.fill(second, Float.NaN);
    }
    int place = place(added);
    sinceBaseMs[place] = (int) (timestampMs - baseMs);
    first[place] = firstMw;
    if (second != null) {
      second[place] = secondMw;
    }
    newestMs = timestampMs;
    added++;
  }

  private int place(long ordinal) {
    return (int) (ordinal % first.length);
  }

  private long oldest() {
    return Math.max(0, added - first.length);
  }

  private long timeMs(long ordinal) {
    return baseMs + sinceBaseMs[place(ordinal)];
  }

  /** Once in 24 days, and when the clock was set. */
  private void moveBase(long timestampMs) {
    long oldestMs = timeMs(oldest());
    if (timestampMs - oldestMs > Integer.MAX_VALUE) {
      added = 0;
      baseMs = timestampMs;
      return;
    }
    int byMs = (int) (oldestMs - baseMs);
    baseMs = oldestMs;
    for (long ordinal = oldest(); ordinal < added; ordinal++) {
      sinceBaseMs[place(ordinal)] -= byMs;
    }
  }

  /** When the oldest one was read, in ms since 1970; empty if there is none. */
  synchronized OptionalLong oldestMs() {
    return added == 0 ? OptionalLong.empty() : OptionalLong.of(timeMs(oldest()));
  }

  /** Those of the time from {@code fromMs} on, and before {@code toMs}; the oldest first. */
  void forEach(long fromMs, long toMs, Visitor visitor) {
    long next = firstSince(fromMs);
    while (next >= 0) {
      next = visitPiece(next, toMs, visitor);
    }
  }

  private synchronized long firstSince(long fromMs) {
    long low = oldest();
    long high = added;
    while (low < high) {
      long middle = low + (high - low) / 2;
      if (timeMs(middle) < fromMs) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** Returns where to go on, or -1 at the end. */
  private synchronized long visitPiece(long from, long toMs, Visitor visitor) {
    long end = Math.min(added, from + PIECE);
    for (long ordinal = Math.max(from, oldest()); ordinal < end; ordinal++) {
      long timestampMs = timeMs(ordinal);
      if (timestampMs >= toMs) {
        return -1;
      }
      int place = place(ordinal);
      visitor.visit(timestampMs, first[place], second == null ? Float.NaN : second[place]);
    }
    return end < added ? end : -1;
  }
}
