package dev.zeusd.testkit;

import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * A clock whose time the test sets: hours pass at once, and nothing passes by itself.
 *
 * <p>{@link #advance} lets all that was due in between happen, one moment after the other, and
 * returns when it has: a node that is opened with this clock reads its devices at the same moments
 * in each run, however busy the machine is.
 *
 * <p>Thread-safe.
 */
public final class TestClock implements NanoClock {
  /** The wall clock's time at first: the beginning of 2026, in ms since 1970. */
  public static final long START_MS = 1_767_225_600_000L;

  /** Longer than any machine needs; only a thread that hangs is waited for in vain. */
  private static final long LIMIT_NANOS = TimeUnit.SECONDS.toNanos(20);

  // Guarded by this.
  private long now;
  private final Map<Thread, Long> waiting = new HashMap<>();

  /** Those that wait no more, by somebody's wish, and do not know it yet. */
  private final Set<Thread> woken = new HashSet<>();

  /** Those that wait by this clock now and then, but not now. */
  private final Set<Thread> busy = new HashSet<>();

  private int wakeUps;

  /** A clock at {@link #START_MS}. */
  public TestClock() {}

  // ---- What a test does ----

  /**
   * Lets time pass, from one moment that a thread waits for to the next, each time until all that
   * was woken has done its work.
   *
   * @param time how much
   * @throws IllegalStateException if a thread has not done its work after 20 s of real time, or
   *     this is called by one that waits by this clock, such as from the callback of a subscription
   */
  public void advance(Duration time) {
    awaitRest();
    long target = nanoTime() + time.toNanos();
    for (OptionalLong due = nextDue(target); due.isPresent(); due = nextDue(target)) {
      jumpTo(due.getAsLong());
      awaitRest();
    }
    jumpTo(target);
  }

  /**
   * Lets {@code nanos} pass at once, as if the whole process had been stopped for so long; waits
   * for nobody.
   *
   * @param nanos by how much, in ns
   */
  public synchronized void jump(long nanos) {
    jumpTo(now + nanos);
  }

  private synchronized void jumpTo(long nanos) {
    now = Math.max(now, nanos);
    List<Thread> due = waiting.keySet().stream().filter(each -> waiting.get(each) <= now).toList();
    due.forEach(this::wake);
    notifyAll();
  }

  private synchronized OptionalLong nextDue(long target) {
    return waiting.values().stream().mapToLong(Long::longValue).filter(due -> due <= target).min();
  }

  /** Whoever this wakes does not wait any more, from this moment on. */
  private void wake(Thread thread) {
    waiting.remove(thread);
    busy.add(thread);
  }

  /** Returns once nobody has anything to do until time passes. */
  private synchronized void awaitRest() {
    if (busy.contains(Thread.currentThread())) {
      throw new IllegalStateException("a thread that waits by the clock cannot advance it");
    }
    long end = System.nanoTime() + LIMIT_NANOS;
    while (true) {
      busy.removeIf(thread -> thread.getState() == Thread.State.TERMINATED);
      if (busy.isEmpty()) {
        return;
      }
      pause(end, () -> "these threads do not come to rest: " + busy);
    }
  }

  /**
   * Returns once so many threads wait: they have nothing to do until time passes.
   *
   * @param threads how many
   */
  public synchronized void awaitWaiting(int threads) {
    long end = System.nanoTime() + LIMIT_NANOS;
    while (waiting.size() - woken.size() != threads) {
      pause(end, () -> waiting.size() + " threads wait, and not " + threads);
    }
  }

  private void pause(long endNanos, Supplier<String> problem) {
    if (System.nanoTime() > endNanos) {
      throw new IllegalStateException(problem.get());
    }
    try {
      // The end of a thread notifies nobody.
      wait(10);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted; " + problem.get(), e);
    }
  }

  /** {@return how often a thread has gone on that had waited} */
  public synchronized int wakeUps() {
    return wakeUps;
  }

  // ---- What a node does ----

  @Override
  public synchronized long nanoTime() {
    return now;
  }

  @Override
  public synchronized long wallMs() {
    return START_MS + TimeUnit.NANOSECONDS.toMillis(now);
  }

  @Override
  public synchronized void starting(Thread thread) {
    busy.add(thread);
  }

  @Override
  public void park() {
    parkUntil(Long.MAX_VALUE);
  }

  @Override
  public synchronized void parkUntil(long nanos) {
    Thread me = Thread.currentThread();
    beginWaiting(me, nanos);
    try {
      while (nanos > now && !woken.contains(me)) {
        wait();
      }
    } catch (InterruptedException e) {
      me.interrupt();
    } finally {
      endWaiting(me);
      woken.remove(me);
    }
  }

  private void beginWaiting(Thread me, long untilNanos) {
    waiting.put(me, untilNanos);
    busy.remove(me);
    notifyAll();
  }

  private void endWaiting(Thread me) {
    wakeUps++;
    wake(me);
  }

  @Override
  public synchronized void unpark(Thread thread) {
    woken.add(thread);
    if (waiting.containsKey(thread)) {
      busy.add(thread);
    }
    notifyAll();
  }

  @Override
  public Alarm newAlarm() {
    return new TestAlarm();
  }

  private final class TestAlarm implements Alarm {
    // Guarded by the clock.
    private long dueNanos;
    private Thread waiter;
    private boolean isClosed;

    @Override
    public void setFor(long nanos) {
      synchronized (TestClock.this) {
        dueNanos = nanos;
        changed();
      }
    }

    /** For who waits now, if anybody does. */
    private void changed() {
      if (waiter != null) {
        if (isClosed || dueNanos <= now) {
          wake(waiter);
        } else {
          waiting.put(waiter, dueNanos);
        }
      }
      TestClock.this.notifyAll();
    }

    @Override
    public void await() {
      synchronized (TestClock.this) {
        waiter = Thread.currentThread();
        beginWaiting(waiter, dueNanos);
        try {
          while (!isClosed && dueNanos > now) {
            TestClock.this.wait();
          }
        } catch (InterruptedException e) {
          waiter.interrupt();
        } finally {
          endWaiting(waiter);
          waiter = null;
        }
      }
    }

    @Override
    public void close() {
      synchronized (TestClock.this) {
        isClosed = true;
        changed();
      }
    }
  }
}
