package dev.zeusd.core.worker;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A thread, and what it is to do: what is posted, in the order it came, and timed work. The kinds
 * of work take turns, so none starves another. It knows nothing of devices.
 *
 * <p>Thread-safe. The thread starts with the first thing to do, and sleeps while there is none. An
 * exception ends what raised it, and nothing else.
 */
final class Mailbox {
  private static final long CLOSE_WAIT_NANOS = 200_000_000;

  /** Kinds of work, each with a queue of its own. */
  enum Kind {
    /** What others wait behind. */
    FIRST,
    READ,
    COMMAND
  }

  /** Something to do: run it, or refuse it when the mailbox closes before its turn. */
  interface Task {
    void run();

    default void refuse() {}
  }

  private record Timer(long due, TimedWork work) {}

  private final String name;
  private final NanoClock clock;
  private final Thread thread;
  private final AtomicBoolean started = new AtomicBoolean();
  private final Map<Kind, Queue<Task>> tasks = new EnumMap<>(Kind.class);

  /** Touched by the thread only. */
  private final PriorityQueue<Timer> timers =
      new PriorityQueue<>((a, b) -> Long.signum(a.due - b.due));

  private volatile boolean parked;
  private volatile boolean closed;

  /** An empty one, whose thread is called {@code name}. */
  Mailbox(String name, NanoClock clock) {
    this.name = name;
    this.clock = clock;
    for (Kind kind : Kind.values()) {
      tasks.put(kind, new ConcurrentLinkedQueue<>());
    }
    // A platform thread: a call into a driver pins the carrier of a virtual one. A daemon: one that
    // hangs must not keep the process.
    this.thread = Thread.ofPlatform().name(name).daemon().unstarted(this::loop);
  }

  boolean isClosed() {
    return closed;
  }

  void post(Kind kind, Task task) {
    tasks.get(kind).add(task);
    if (closed) {
      refuseAll();
    } else if (!started.get()) {
      start();
    } else if (parked) {
      clock.unpark(thread);
    }
  }

  private void start() {
    if (started.compareAndSet(false, true)) {
      clock.starting(thread);
      thread.start();
    }
  }

  /** Runs {@code work} at {@code dueNanos}. */
  void schedule(long dueNanos, TimedWork work) {
    Timer timer = new Timer(dueNanos, work);
    if (Thread.currentThread() == thread) {
      timers.add(timer);
    } else {
      post(Kind.FIRST, () -> timers.add(timer));
    }
  }

  private void loop() {
    try {
      while (!closed) {
        boolean worked = runNext(Kind.FIRST);
        worked |= runDueTimer();
        worked |= runNext(Kind.READ);
        worked |= runNext(Kind.COMMAND);
        if (!worked) {
          park();
        }
      }
    } finally {
      // Whatever ends the thread: nobody shall wait for it in vain.
      closed = true;
      refuseAll();
    }
  }

  private boolean runNext(Kind kind) {
    Task task = tasks.get(kind).poll();
    if (task != null) {
      run(task);
    }
    return task != null;
  }

  private boolean runDueTimer() {
    Timer timer = timers.peek();
    if (timer == null || timer.due - clock.nanoTime() > 0) {
      return false;
    }
    timers.poll();
    run(
        () -> {
          long next = timer.work.run(timer.due);
          if (next != TimedWork.NEVER) {
            timers.add(new Timer(next, timer.work));
          }
        });
    return true;
  }

  private void run(Task task) {
    try {
      task.run();
    } catch (Throwable e) {
      // Also an Error: it was raised by one task, and the others know nothing of it.
      System.getLogger(DeviceWorker.class.getName())
          .log(System.Logger.Level.ERROR, "{0}: unexpected exception", name, e);
    }
  }

  private void park() {
    parked = true;
    // Looked at once more after the flag is up: a task added in between sees the flag or is seen.
    if (isEmpty() && !closed) {
      Timer timer = timers.peek();
      if (timer == null) {
        clock.park();
      } else {
        clock.parkUntil(timer.due);
      }
    }
    parked = false;
  }

  private boolean isEmpty() {
    for (Kind kind : Kind.values()) {
      if (!tasks.get(kind).isEmpty()) {
        return false;
      }
    }
    return true;
  }

  private void refuseAll() {
    for (Queue<Task> queue : tasks.values()) {
      Task task;
      while ((task = queue.poll()) != null) {
        task.refuse();
      }
    }
  }

  /**
   * Ends the threads after what they do now; what waits is refused. What hangs is waited for only
   * briefly, and for all together no longer than for one. An interrupt changes nothing, and is
   * kept.
   *
   * @return the names of those who have not stopped
   */
  static List<String> closeAll(Collection<Mailbox> mailboxes) {
    for (Mailbox mailbox : mailboxes) {
      mailbox.closed = true;
      mailbox.clock.unpark(mailbox.thread);
    }
    long deadline = System.nanoTime() + CLOSE_WAIT_NANOS;
    List<String> running = new ArrayList<>();
    for (Mailbox mailbox : mailboxes) {
      if (!mailbox.awaitEnd(deadline)) {
        running.add(mailbox.name);
      }
      mailbox.refuseAll();
    }
    return running;
  }

  private boolean awaitEnd(long deadlineNanos) {
    if (thread.getState() == Thread.State.NEW || thread == Thread.currentThread()) {
      return true;
    }
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return thread.join(Duration.ofNanos(Math.max(0, deadlineNanos - System.nanoTime())));
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
