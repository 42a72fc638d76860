package dev.zeusd.core.sampling;

import dev.zeusd.core.device.DeviceException;
import java.time.Duration;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * The one thread of one device. Whatever touches the device runs here: commands in the order they
 * arrived, and timed work (the sampler's ticks). So a device needs no lock, and a driver call that
 * takes long holds up nothing but its own device: it never pins the carrier of a virtual thread.
 *
 * <p>Timed work that is due and waiting commands take turns, so neither starves the other.
 *
 * <p>Thread-safe. Without work the thread sleeps until it is called.
 *
 * @param <D> the device
 */
public final class DeviceWorker<D> implements AutoCloseable {
  /** Commands that may wait for one device; a client that wants more is told to come back. */
  private static final int QUEUE_CAPACITY = 1024;

  private static final long CLOSE_WAIT_NANOS = 200_000_000;

  private final int id;
  private final String name;
  private final D device;
  private final Thread thread;
  private final ConcurrentLinkedQueue<Task> tasks = new ConcurrentLinkedQueue<>();
  private final AtomicInteger waiting = new AtomicInteger();

  /** Touched by the worker's thread only. */
  private final PriorityQueue<Timer> timers =
      new PriorityQueue<>(
          Comparator.comparing((Timer t) -> t, (a, b) -> Long.signum(a.due - b.due)));

  private volatile boolean parked;
  private volatile boolean closed;

  /** Timed work: told when it was due, gives the time it wants to run next. */
  interface Timed {
    /** Answer of {@link #run}: not again. */
    long NEVER = Long.MIN_VALUE;

    /** Runs on the worker's thread; times are {@link System#nanoTime}'s. */
    long run(long dueNanos);
  }

  private record Timer(long due, Timed work) {}

  /** A command: run it, or refuse it when the worker closes before its turn. */
  private interface Task {
    void run();

    default void refuse() {}
  }

  /** Starts the thread {@code name}. */
  public DeviceWorker(int id, String name, D device) {
    this.id = id;
    this.name = name;
    this.device = device;
    this.thread = Thread.ofPlatform().name(name).daemon().start(this::loop);
  }

  /** The device's id. */
  public int id() {
    return id;
  }

  /** The device itself, for what needs no hardware; everything else goes through {@link #call}. */
  public D device() {
    return device;
  }

  /**
   * Queues {@code call}; the future ends with its value, or with the exception it threw, on the
   * worker's thread; with {@link DeviceException.Unavailable} if this is closed before its turn.
   *
   * @throws DeviceException.Unavailable if too many calls wait already
   */
  public <T> CompletableFuture<T> submit(Function<? super D, ? extends T> call) {
    Command<T> command = new Command<>(call);
    enqueue(command);
    return command.result;
  }

  /**
   * Runs {@code call} on the device's thread and waits for its value.
   *
   * @throws DeviceException what the device threw, or why it was not asked, as {@link #submit}
   */
  public <T> T call(Function<? super D, ? extends T> call) {
    return await(submit(call));
  }

  /** The value of what {@link #submit} returned, or the exception of the call itself. */
  public static <T> T await(CompletableFuture<T> result) {
    try {
      return result.join();
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw e;
      }
    }
  }

  /** Runs {@code action} on the worker's thread, without a limit on how many wait. */
  void execute(Consumer<? super D> action) {
    push(() -> action.accept(device));
  }

  /** Runs {@code work} at {@code dueNanos}; from the worker's thread only. */
  void schedule(long dueNanos, Timed work) {
    timers.add(new Timer(dueNanos, work));
  }

  private void enqueue(Task task) {
    if (waiting.incrementAndGet() > QUEUE_CAPACITY) {
      waiting.decrementAndGet();
      throw new DeviceException.Unavailable(
          name + " is busy: " + QUEUE_CAPACITY + " commands wait for it already; try again later");
    }
    push(task);
  }

  private void push(Task task) {
    tasks.add(task);
    if (closed) {
      refuseAll();
    } else if (parked) {
      LockSupport.unpark(thread);
    }
  }

  private void loop() {
    try {
      while (!closed) {
        boolean ticked = runDueTimer();
        Task task = tasks.poll();
        if (task != null) {
          run(task);
        } else if (!ticked) {
          park();
        }
      }
    } finally {
      // Also when an Error ends the thread: nobody shall wait for it in vain.
      closed = true;
      refuseAll();
    }
  }

  private boolean runDueTimer() {
    Timer timer = timers.peek();
    if (timer == null || timer.due - System.nanoTime() > 0) {
      return false;
    }
    timers.poll();
    run(
        () -> {
          long next = timer.work.run(timer.due);
          if (next != Timed.NEVER) {
            schedule(next, timer.work);
          }
        });
    return true;
  }

  private void run(Task task) {
    try {
      task.run();
    } catch (RuntimeException e) {
      System.getLogger(DeviceWorker.class.getName())
          .log(System.Logger.Level.ERROR, "{0}: unexpected exception", name, e);
    }
  }

  private void park() {
    parked = true;
    // Looked at once more after the flag is up: a task added in between sees the flag or is seen.
    if (tasks.isEmpty() && !closed) {
      Timer timer = timers.peek();
      if (timer == null) {
        LockSupport.park(this);
      } else {
        LockSupport.parkNanos(this, timer.due - System.nanoTime());
      }
    }
    parked = false;
  }

  private void refuseAll() {
    Task task;
    while ((task = tasks.poll()) != null) {
      task.refuse();
    }
  }

  /**
   * Ends the thread after the call that runs now; calls that wait are refused with {@link
   * DeviceException.Unavailable}. A call that hangs in the driver is waited for only briefly: its
   * thread is a daemon and does not keep the process.
   */
  @Override
  public void close() {
    closeAll(List.of(this));
  }

  /** As {@link #close} of each, and together no longer than one of them that hangs. */
  public static void closeAll(Collection<? extends DeviceWorker<?>> workers) {
    for (DeviceWorker<?> worker : workers) {
      worker.closed = true;
      LockSupport.unpark(worker.thread);
    }
    long deadline = System.nanoTime() + CLOSE_WAIT_NANOS;
    for (DeviceWorker<?> worker : workers) {
      try {
        worker.thread.join(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      worker.refuseAll();
    }
  }

  private final class Command<T> implements Task {
    private final Function<? super D, ? extends T> call;
    private final CompletableFuture<T> result = new CompletableFuture<>();

    Command(Function<? super D, ? extends T> call) {
      this.call = call;
    }

    @Override
    public void run() {
      waiting.decrementAndGet();
      try {
        result.complete(call.apply(device));
      } catch (RuntimeException e) {
        result.completeExceptionally(e);
      } catch (Error e) {
        result.completeExceptionally(e);
        throw e;
      }
    }

    @Override
    public void refuse() {
      waiting.decrementAndGet();
      result.completeExceptionally(new DeviceException.Unavailable(name + " is closed"));
    }
  }
}
