package dev.zeusd.server.connection;

import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * Lets the requests of one peer go on a few at a time, first come, first served.
 *
 * <p>Virtual threads that can run stand in line for the processors, and nobody passes: thousands of
 * one peer, each with a thousand requests in its buffers, would stand before everybody else for
 * seconds. So they wait here, where they are in nobody's way, and join the line in small groups.
 * How long they then wait for a device or a client does not matter, since that takes no processor.
 *
 * <p>There is a pause between groups because there is more than one line, and the threads behind
 * the processors stay with one of them until it is empty: it has to be, now and then.
 */
final class Turns {
  private static final int GROUP = Math.max(16, 2 * Runtime.getRuntime().availableProcessors());
  private static final long PAUSE_NANOS = 200_000;

  /** Each holds tens of kilobytes, so nobody may fill the heap by waiting. */
  private static final int MAX_WAITING = 512;

  private final Queue<Waiting> waiting = new ConcurrentLinkedQueue<>();
  private final AtomicInteger waitingCount = new AtomicInteger();

  /** Whether there is a thread that hands out turns; there is while somebody waits. */
  private final AtomicBoolean handsOut = new AtomicBoolean();

  private static final class Waiting {
    final Thread thread = Thread.currentThread();

    /** It has its turn, or does not want it any more; whoever comes first says so. */
    private boolean isOver;

    private boolean hasTurn;

    synchronized boolean giveTurn() {
      hasTurn = !isOver;
      isOver = true;
      return hasTurn;
    }

    synchronized boolean endsWithTurn() {
      isOver = true;
      return hasTurn;
    }

    synchronized boolean isOver() {
      return isOver;
    }
  }

  /**
   * Returns when it is the calling thread's turn, or when it does not wait any longer, since too
   * many do, it has for so long, or it has been interrupted.
   *
   * @return whether it is its turn
   */
  boolean await(Duration patience) {
    try {
      return waitingCount.incrementAndGet() <= MAX_WAITING && awaitInLine(patience);
    } finally {
      waitingCount.decrementAndGet();
    }
  }

  private boolean awaitInLine(Duration patience) {
    Waiting own = new Waiting();
    waiting.add(own);
    startHandingOut();
    long deadline = System.nanoTime() + patience.toNanos();
    while (!own.isOver() && !Thread.interrupted() && System.nanoTime() - deadline < 0) {
      LockSupport.parkNanos(this, deadline - System.nanoTime());
    }
    return own.endsWithTurn();
  }

  private void startHandingOut() {
    if (!handsOut.get() && handsOut.compareAndSet(false, true)) {
      Thread.ofVirtual().name("turns").start(this::handOut);
    }
  }

  private void handOut() {
    while (!waiting.isEmpty()) {
      int left = GROUP;
      for (Waiting next = waiting.poll(); next != null; next = waiting.poll()) {
        if (next.giveTurn()) {
          LockSupport.unpark(next.thread);
          left--;
        }
        if (left == 0) {
          break;
        }
      }
      LockSupport.parkNanos(this, PAUSE_NANOS);
    }
    handsOut.set(false);
    if (!waiting.isEmpty()) {
      // Whoever came in between has found this one still at work.
      startHandingOut();
    }
  }
}
