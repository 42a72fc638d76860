package dev.zeusd.server.audit;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/**
 * What is to be written, in the order in which it happened, as the bytes that will be written. It
 * takes so many of them; what comes then is only counted. For one thread at a time.
 */
final class AuditBacklog {
  /** Some 8000 lines. */
  static final int MAX_BYTES = 4 << 20;

  /** Of the entry itself, and its place in line. */
  private static final int OVERHEAD_BYTES = 48;

  private final Deque<Entry> entries = new ArrayDeque<>();
  private long bytes;
  private long lost;

  /** What is written at once, or not at all. */
  static final class Entry {
    final byte[] bytes;

    /** It is written. */
    boolean isDone;

    private Entry(byte[] bytes) {
      this.bytes = bytes;
    }

    private int cost() {
      return bytes.length + OVERHEAD_BYTES;
    }
  }

  /** Takes another one; empty if there is no room. One always has room, however large it is. */
  Optional<Entry> add(byte[] content) {
    Entry entry = new Entry(content);
    if (!entries.isEmpty() && bytes + entry.cost() > MAX_BYTES) {
      lost++;
      return Optional.empty();
    }
    entries.add(entry);
    bytes += entry.cost();
    return Optional.of(entry);
  }

  Entry first() {
    return entries.getFirst();
  }

  /** The first one is written. */
  void removeFirst() {
    Entry entry = entries.remove();
    entry.isDone = true;
    bytes -= entry.cost();
  }

  boolean isEmpty() {
    return entries.isEmpty();
  }

  int size() {
    return entries.size();
  }

  /** How many found no room since {@link #forgetLost}. */
  long lost() {
    return lost;
  }

  void forgetLost() {
    lost = 0;
  }
}
