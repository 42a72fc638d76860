package dev.zeusd.core.sampling;

import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * A subscriber's interest in some devices, and how far it has read their {@link Board}. A slow
 * subscriber skips values and never grows.
 *
 * <p>{@link #poll} is for one thread at a time, virtual or platform; {@link #close} may come from
 * any thread and any number of times.
 *
 * @param <S> the samples
 */
public final class Subscription<S extends PowerSample> implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Subscription.class.getName());

  private final Supplier<Board<S>> source;
  private final long freshNanos;
  private final NanoClock clock;

  /** Indices within the sampler, ascending. */
  private final int[] devices;

  private final Bookmark<S> bookmark;
  private final Runnable onNews;
  private final Consumer<Subscription<S>> onClose;
  private final AtomicBoolean onNewsFailed = new AtomicBoolean();
  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile Thread waiter;

  /** Whether it is also told of values that have not changed. */
  private volatile boolean wantsEveryRead = true;

  /**
   * A subscription that is open.
   *
   * @param source gives the newest board
   * @param freshNanos how old a value may be that a newcomer gets
   * @param devices indices, ascending
   */
  Subscription(
      Supplier<Board<S>> source,
      long freshNanos,
      NanoClock clock,
      int[] devices,
      Runnable onNews,
      Consumer<Subscription<S>> onClose) {
    this.source = source;
    this.freshNanos = freshNanos;
    this.clock = clock;
    this.devices = devices;
    this.bookmark = newBookmark();
    this.onNews = onNews;
    this.onClose = onClose;
  }

  /**
   * Waits until a value changed, and takes all that have: at most one for each device, by ascending
   * id. The first value of a device counts as a change.
   *
   * @param timeout how long to wait, at most
   * @return empty when {@code timeout} passed without a change, or after {@link #close}
   * @throws InterruptedException if the calling thread is interrupted
   */
  public List<S> poll(Duration timeout) throws InterruptedException {
    long deadline = System.nanoTime() + timeout.toNanos();
    waiter = Thread.currentThread();
    try {
      while (true) {
        List<S> taken = pollNow();
        long left = deadline - System.nanoTime();
        if (!taken.isEmpty() || left <= 0 || isClosed()) {
          return taken;
        }
        LockSupport.parkNanos(this, left);
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
      }
    } finally {
      waiter = null;
    }
  }

  /**
   * As {@link #poll}, without waiting.
   *
   * @return what is new, as {@link #poll} has it
   */
  public List<S> pollNow() {
    List<S> news = bookmark.take(board());
    if (wantsEveryRead) {
      wantsEveryRead = !bookmark.hasSeenAll();
    }
    return news;
  }

  /** {@return the current value of each device that has one now; a device that fails has none} */
  public List<S> current() {
    return current(board());
  }

  /**
   * {@return the value of each device that has one on this board of {@link #board}}
   *
   * @param board as {@link #board} has returned it
   */
  public List<S> current(Board<S> board) {
    return board.current(devices);
  }

  /**
   * Takes a sample.
   *
   * @param <S> the kind of sample
   */
  public interface Visitor<S> {
    /**
     * Takes one.
     *
     * @param sample the newest one of a device
     * @param readNanos when the device was read, by {@link NanoClock#nanoTime}
     */
    void visit(S sample, long readNanos);
  }

  /**
   * As {@link #current()}, with the time of the clock that nobody sets; allocates nothing.
   *
   * @param visitor called for each device, before this returns
   */
  public void forEachCurrent(Visitor<? super S> visitor) {
    board().forEachCurrent(devices, visitor);
  }

  /** {@return what is known now, for those who share this subscription} */
  public Board<S> board() {
    return source.get();
  }

  /**
   * For another reader of the same devices, which has just come.
   *
   * @return what is new, as {@link #poll} has it
   */
  public Bookmark<S> newBookmark() {
    return new Bookmark<>(devices, freshNanos, clock);
  }

  /**
   * Whether news is also what has not changed. It is at first, and must be while somebody who
   * shares this subscription has not {@linkplain Bookmark#hasSeenAll seen all}.
   *
   * @param everyRead whether readings that show no change are told as well
   */
  public void wantEveryRead(boolean everyRead) {
    wantsEveryRead = everyRead;
  }

  /** {@return how many devices this was asked for} */
  public int deviceCount() {
    return devices.length;
  }

  /** {@return whether {@link #close} was called} */
  public boolean isClosed() {
    return closed.get();
  }

  int[] devices() {
    return devices;
  }

  /** Wakes this subscriber if there is something on this board that it wants. */
  void tell(Board<S> before, Board<S> after) {
    for (int device : devices) {
      Board.Entry<S> entry = after.entry(device);
      if (entry != null
          && (entry.changedAt() == after.stamp()
              || wantsEveryRead && entry != before.entry(device))) {
        wake();
        return;
      }
    }
  }

  private void wake() {
    Thread thread = waiter;
    if (thread != null) {
      LockSupport.unpark(thread);
    }
    try {
      onNews.run();
    } catch (Throwable e) {
      // It is the subscriber's own affair; those that are served after it know nothing of it.
      if (!onNewsFailed.getAndSet(true)) {
        LOG.log(System.Logger.Level.ERROR, "a subscriber fails to be told of news", e);
      }
    }
  }

  /** Ends the subscription; whoever polls returns at once. Idempotent. */
  @Override
  public void close() {
    if (!closed.getAndSet(true)) {
      onClose.accept(this);
      wake();
    }
  }
}
