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
  private int wakeUps;

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
      wakeUps++;
      woken.remove(me);
      waiting.remove(me);
    }
  }

  /** How often a thread has gone on that had waited. */
  public synchronized int wakeUps() {
    return wakeUps;
  }

  @Override
  public synchronized void unpark(Thread thread) {
    woken.add(thread);
    notifyAll();
  }

  @Override
  public Alarm newAlarm() {
    return new ManualAlarm();
  }

  private final class ManualAlarm implements Alarm {
    // Guarded by the clock.
    private long dueNanos;
    private Thread waiter;
    private boolean isClosed;

    @Override
    public void setFor(long nanos) {
      synchronized (ManualClock.this) {
        dueNanos = nanos;
        if (waiter != null && nanos - now > 0) {
          waiting.put(waiter, nanos);
        }
        ManualClock.this.notifyAll();
      }
    }

    @Override
    public void await() {
      synchronized (ManualClock.this) {
        waiter = Thread.currentThread();
        try {
          while (!isClosed && dueNanos - now > 0) {
            waiting.put(waiter, dueNanos);
            ManualClock.this.notifyAll();
            ManualClock.this.wait();
          }
        } catch (InterruptedException e) {
          waiter.interrupt();
        } finally {
          wakeUps++;
          waiting.remove(waiter);
          waiter = null;
        }
      }
    }

    @Override
    public void close() {
      synchronized (ManualClock.this) {
        isClosed = true;
        waiting.remove(waiter);
        ManualClock.this.notifyAll();
      }
    }
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
