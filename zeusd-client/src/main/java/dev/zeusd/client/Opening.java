package dev.zeusd.client;

import java.io.Closeable;
import java.io.IOException;
import java.net.SocketException;
import java.util.Optional;

/**
 * A connection that is being opened, in steps that may each take long: {@link #close}, from any
 * thread, ends the one that is under way, and those that would follow.
 */
final class Opening implements Closeable {
  // Guarded by this.
  private Optional<Closeable> step = Optional.empty();
  private boolean closed;

  /**
   * From here on, this is what there is to close.
   *
   * @return the same
   * @throws IOException if this was closed before
   */
  synchronized <T extends Closeable> T with(T next) throws IOException {
    if (closed) {
      next.close();
      throw new SocketException("closed while it was opened");
    }
    step = Optional.of(next);
    return next;
  }

  @Override
  public synchronized void close() throws IOException {
    closed = true;
    if (step.isPresent()) {
      step.get().close();
    }
  }
}
