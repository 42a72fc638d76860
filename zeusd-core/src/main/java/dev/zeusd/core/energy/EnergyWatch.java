package dev.zeusd.core.energy;

import java.util.concurrent.TimeUnit;

/** A thread that takes a step now and then, while there is something to watch. Thread-safe. */
final class EnergyWatch {
  private static final System.Logger LOG = System.getLogger(EnergyMeter.class.getName());

  /** Takes a step. */
  interface Work {
    /** Does what is due, and says whether there will be more. */
    boolean step();
  }

  private final Work work;
  private final long periodNanos;

  // Guarded by this.
  private boolean isWanted;
  private boolean isDue;
  private boolean isClosed;

  /** Or null. */
  private Thread thread;

  EnergyWatch(Work work, long periodNanos) {
    this.work = work;
    this.periodNanos = periodNanos;
  }

  /** There is something to watch, a period from now on. */
  synchronized void start() {
    isWanted = true;
    if (thread == null && !isClosed) {
      // A thread of its own, since it waits for the disk.
      thread = Thread.ofPlatform().daemon().name("energy windows").start(this::run);
    }
  }

  /** There is something to do at once. */
  synchronized void wake() {
    isDue = true;
    start();
    notifyAll();
  }

  private void run() {
    while (awaitDue()) {
      boolean hasMore = true;
      try {
        hasMore = work.step();
      } catch (RuntimeException e) {
        LOG.log(System.Logger.Level.ERROR, "energy windows: unexpected exception", e);
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

  /** Ends the thread, after the step that it takes now; a disk that hangs is not waited for. */
  synchronized void close() {
    isClosed = true;
    notifyAll();
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(300);
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
