package dev.zeusd.core.worker;

import java.util.concurrent.TimeUnit;

/**
 * A thread that takes a step now and then, while there is something to watch, by real time. It is
 * for what may wait for a disk or a driver, which no device's thread does.
 *
 * <p>Thread-safe.
 */
public final class Watch implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Watch.class.getName());
  private static final long CLOSE_WAIT_NANOS = TimeUnit.MILLISECONDS.toNanos(300);

  /** What is done now and then. */
  public interface Step {
    /**
     * Does what is due, and says whether there will be more.
     *
     * @return whether there will be more to do
     */
    boolean take();
  }

  private final String name;
  private final Step step;
  private final long periodNanos;

  // Guarded by this.
  private boolean isWanted;
  private boolean isDue;
  private boolean isClosed;

  /** Or null. */
  private Thread thread;

  /**
   * Nothing is watched yet; the thread will be called {@code name}.
   *
   * @param name of the thread
   * @param step what to do now and then
   * @param periodNanos how long to wait between two steps, in ns
   */
  public Watch(String name, Step step, long periodNanos) {
    this.name = name;
    this.step = step;
    this.periodNanos = periodNanos;
  }

  /** There is something to watch, a period from now on. */
  public synchronized void start() {
    isWanted = true;
    if (thread == null && !isClosed) {
      thread = Thread.ofPlatform().daemon().name(name).start(this::run);
    }
  }

  /** There is something to do at once. */
  public synchronized void wake() {
    isDue = true;
    start();
    notifyAll();
  }

  private void run() {
    while (awaitDue()) {
      boolean hasMore = true;
      try {
        hasMore = step.take();
      } catch (RuntimeException e) {
        LOG.log(System.Logger.Level.ERROR, "{0}: unexpected exception", name, e);
      }
      synchronized (this) {
        isWanted |= hasMore;
      }
    }
  }

  private synchronized boolean awaitDue() {
    long due = System.nanoTime() + periodNanos;
    long restNanos;
    try {
      while (isWanted && !isDue && !isClosed && (restNanos = due - System.nanoTime()) > 0) {
        TimeUnit.NANOSECONDS.timedWait(this, restNanos);
      }
    } catch (InterruptedException e) {
      // Nobody does that; then the step is taken now.
    }
    boolean goesOn = isWanted && !isClosed;
    isWanted = false;
    isDue = false;
    if (!goesOn) {
      thread = null;
      notifyAll();
    }
    return goesOn;
  }

  /** Ends the thread, after the step that it takes now. */
  public synchronized void end() {
    isClosed = true;
    notifyAll();
  }

  /** As {@link #end}, and waits for it; briefly, since the step may hang. */
  @Override
  public synchronized void close() {
    end();
    long deadline = System.nanoTime() + CLOSE_WAIT_NANOS;
    long restNanos;
    try {
      while (thread != null && (restNanos = deadline - System.nanoTime()) > 0) {
        TimeUnit.NANOSECONDS.timedWait(this, restNanos);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
