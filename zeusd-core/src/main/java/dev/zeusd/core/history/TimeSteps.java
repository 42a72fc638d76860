package dev.zeusd.core.history;

/**
 * Spans of time of the same length, one after the other.
 *
 * @param fromMs when the first one begins, in ms since 1970
 * @param stepMs how long each is, in ms
 * @param count how many there are
 */
public record TimeSteps(long fromMs, long stepMs, int count) {
  /** Checks the numbers. */
  public TimeSteps {
    if (stepMs < 1 || count < 0) {
      throw new IllegalArgumentException(count + " steps of " + stepMs + " ms");
    }
  }

  /** {@return when the last one ends} */
  public long toMs() {
    return fromMs + count * stepMs;
  }
}
