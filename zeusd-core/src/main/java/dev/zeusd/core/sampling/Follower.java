package dev.zeusd.core.sampling;

import java.util.function.Consumer;

/** Told by the thread that reads of every reading, changed or not, and of the end. */
final class Follower<S extends PowerSample> implements Runnable {
  private final Consumer<Subscription<S>> onRead;
  private final Runnable onClose;

  /** Null for a moment at first. */
  private volatile Subscription<S> subscription;

  Follower(Consumer<Subscription<S>> onRead, Runnable onClose) {
    this.onRead = onRead;
    this.onClose = onClose;
  }

  /** Has its own subscription from now on. */
  Subscription<S> follow(Subscription<S> opened) {
    opened.wantEveryRead(true);
    subscription = opened;
    return opened;
  }

  @Override
  public void run() {
    Subscription<S> own = subscription;
    if (own != null && own.isClosed()) {
      onClose.run();
    } else if (own != null) {
      onRead.accept(own);
    }
  }
}
