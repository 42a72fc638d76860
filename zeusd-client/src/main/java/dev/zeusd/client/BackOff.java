package dev.zeusd.client;

import java.util.concurrent.ThreadLocalRandom;

/** Longer and longer pauses between trials, each a little by chance so that clients spread. */
final class BackOff {
  private static final long FIRST_MILLIS = 100;

  private final long longestMillis;
  private long nextMillis = FIRST_MILLIS;

  BackOff(long longestMillis) {
    this.longestMillis = longestMillis;
  }

  /** Starts from the shortest pause again. */
  void reset() {
    nextMillis = FIRST_MILLIS;
  }

  long nextMillis() {
    long millis = Math.min(nextMillis, longestMillis);
    nextMillis = Math.min(2 * nextMillis, longestMillis);
    return Math.max(1, millis - ThreadLocalRandom.current().nextLong(millis / 4 + 1));
  }
}
