package dev.zeusd.server.stream;

/**
 * Streams that are written together. But for {@link #step}, which is for one thread at a time,
 * thread-safe.
 */
interface StreamGroup {
  /** Adds a stream; false if the group is over, since its last stream has ended. */
  boolean join(SseStream stream);

  /** Does what is due; gives the ns until something is due again, unless it is woken before. */
  long step();

  /** Whether all streams have ended; then it has to be closed. */
  boolean isOver();

  /** Ends the group, and its streams properly, with the next step. */
  void close();
}
