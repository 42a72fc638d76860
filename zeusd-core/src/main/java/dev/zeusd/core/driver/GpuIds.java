package dev.zeusd.core.driver;

/**
 * Gives out the ids of a node's GPUs, whoever finds them: in the order in which they are found,
 * from 0, and none twice. Thread-safe.
 */
public final class GpuIds {
  private int next;

  /** The first of {@code count} ids that nobody else has. */
  public synchronized int take(int count) {
    int first = next;
    next += count;
    return first;
  }
}
