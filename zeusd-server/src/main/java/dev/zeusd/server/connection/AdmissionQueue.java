package dev.zeusd.server.connection;

import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * Admits the requests of one peer a few at a time, first come, first served.
 *
 * <p>Virtual threads that can run stand in line for the processors, and nobody passes: thousands of
 * one peer, each with a thousand requests in its buffers, would stand before everybody else for
 * seconds. So they wait here, where they are in nobody's way, and join the line in small groups.
 * How long they then wait for a device or a client does not matter, since that takes no processor.
 *
 * <p>There is a pause between groups because there is more than one line, and the threads behind
 * the processors stay with one of them until it is empty: it has to be, now and then.
 */
final class AdmissionQueue {
  private static final int GROUP = Math.max(16, 2 * Runtime.getRuntime().availableProcessors());
  private static final long PAUSE_NANOS = 200_000;

  /** Each holds tens of kilobytes, so nobody may fill the heap by waiting. */
  private static final int MAX_WAITING = 512;

  private final Queue<Waiting> waiting = new ConcurrentLinkedQueue<>();
  private final AtomicInteger waitingCount = new AtomicInteger();

  /** Whether there is a thread that admits them; there is while somebody waits. */
  private final AtomicBoolean isAdmitting = new AtomicBoolean();

  private static final class Waiting {
    final Thread thread = Thread.currentThread();

    /** It is admitted, or does not wait any more; whoever comes first says so. */
    private boolean isOver;

    private boolean isAdmitted;

    synchronized boolean admit() {
      isAdmitted = !isOver;
      isOver = true;
      return isAdmitted;
    }

    synchronized boolean endsAdmitted() {
      isOver = true;
      return isAdmitted;
    }

    synchronized boolean isOver() {
      return isOver;
    }
  }

  /**
   * Returns when the calling thread is admitted, or when it does not wait any longer, since too
   * many do, it has for so long, or it has been interrupted.
   *
   * @return whether it is admitted
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
    startAdmitting();
    long deadline = System.nanoTime() + patience.toNanos();
    while (!own.isOver() && !Thread.interrupted() && System.nanoTime() - deadline < 0) {
      LockSupport.parkNanos(this, deadline - System.nanoTime());
    }
    return own.endsAdmitted();
  }

  private void startAdmitting() {
    if (!isAdmitting.get() && isAdmitting.compareAndSet(false, true)) {
      Thread.ofVirtual().name("admissions").start(this::admitAll);
    }
  }

  private void admitAll() {
    while (!waiting.isEmpty()) {
      int left = GROUP;
      for (Waiting next = waiting.poll(); next != null; next = waiting.poll()) {
        if (next.admit()) {
          LockSupport.unpark(next.thread);
          left--;
        }
        if (left == 0) {
          break;
        }
      }
      LockSupport.parkNanos(this, PAUSE_NANOS);
    }
    isAdmitting.set(false);
    if (!waiting.isEmpty()) {
      // Whoever came in between has found this one still at work.
      startAdmitting();
    }
  }
}
