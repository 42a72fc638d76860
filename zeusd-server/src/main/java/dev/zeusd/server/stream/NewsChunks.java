package dev.zeusd.server.stream;

import dev.zeusd.core.sampling.Board;
import dev.zeusd.core.sampling.Bookmark;
import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.Subscription;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * What is new on a {@link Board}, as chunks of events: each is made once for all clients who have
 * seen as much so far.
 *
 * <p>For one thread at a time.
 */
final class NewsChunks<S extends PowerSample> {
  private static final long NO_STAMP = -1;

  private final Subscription<S> subscription;
  private final Dialect<S> dialect;
  private final EventChunk events = new EventChunk();

  /** What those who have seen all are told who come from one board to another; or null. */
  private ByteBuffer chunk;

  private long fromStamp = NO_STAMP;
  private long toStamp;

  NewsChunks(Subscription<S> subscription, Dialect<S> dialect) {
    this.subscription = subscription;
    this.dialect = dialect;
  }

  /**
   * What a reader has not seen, and now has.
   *
   * @return null if there is nothing; valid until the next call
   */
  ByteBuffer take(Bookmark<S> bookmark, Board<S> board) {
    if (!bookmark.hasSeenAll()) {
      fromStamp = NO_STAMP;
      return chunkOf(bookmark.take(board), board);
    }
    if (bookmark.seenStamp() == fromStamp && board.stamp() == toStamp) {
      bookmark.skipTo(board);
    } else {
      fromStamp = bookmark.seenStamp();
      toStamp = board.stamp();
      chunk = chunkOf(bookmark.take(board), board);
    }
    return chunk == null ? null : chunk.rewind();
  }

  private ByteBuffer chunkOf(List<S> changed, Board<S> board) {
    if (changed.isEmpty()) {
      return null;
    }
    // One that has failed since is not current any more.
    List<S> current = dialect.showsAll() ? subscription.current(board) : List.of();
    events.clear();
    dialect.write(current.isEmpty() ? changed : current, events);
    return events.frame();
  }
}
