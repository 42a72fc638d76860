package dev.zeusd.core.worker;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/** A clock whose time the test sets: hours pass at once, and nothing passes by itself. */
public final class ManualClock implements NanoClock {
  private static final long LIMIT_MILLIS = 20_000;

  // Guarded by this.
  private long now;
  private final Map<Thread, Long> waiting = new HashMap<>();
  private final Set<Thread> woken = new HashSet<>();

  @Override
  public synchronized long nanoTime() {
    return now;
  }

  @Override
  public void park() {
    parkUntil(nanoTime() + Long.MAX_VALUE / 2);
  }

  @Override
  public synchronized void parkUntil(long nanos) {
    Thread me = Thread.currentThread();
    waiting.put(me, nanos);
    notifyAll();
    try {
      while (nanos - now > 0 && !woken.contains(me)) {
        wait();
      }
    } catch (InterruptedException e) {
      me.interrupt();
    } finally {
      woken.remove(me);
      waiting.remove(me);
    }
  }

  @Override
  public synchronized void unpark(Thread thread) {
    woken.add(thread);
    notifyAll();
  }

  /** Lets time pass. */
  public synchronized void advance(long nanos) {
    now += nanos;
    // Whoever this wakes does not wait any more, from this moment on.
    waiting.values().removeIf(until -> until - now <= 0);
    notifyAll();
  }

  /** Returns once so many threads wait: they have nothing to do until time passes. */
  public synchronized void awaitWaiting(int threads) throws InterruptedException {
    long end = System.nanoTime() + LIMIT_MILLIS * 1_000_000;
    while (waiting.size() - woken.size() != threads) {
      assertTrue(System.nanoTime() < end, () -> waiting.size() + " threads wait");
      wait(100);
    }
  }
}
