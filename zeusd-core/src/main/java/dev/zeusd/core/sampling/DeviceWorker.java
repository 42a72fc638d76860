package dev.zeusd.core.sampling;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import dev.zeusd.core.device.DeviceException;
import java.time.Duration;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The one thread of one device. Whatever touches the device runs here: commands in the order they
 * arrived, reads, and timed work (the sampler's ticks). So a device is never called twice at a
 * time, and a driver call that takes long holds up nothing but its own device: it does not pin the
 * carrier of a virtual thread.
 *
 * <p>The one exception are {@link #runOrSubmit} and {@link #runOrShare}: while the device is idle,
 * and has been quick, the caller may ask it by itself, since waking this thread and being woken by
 * it takes ten times as long as such a call.
 *
 * <p>Timed work that is due, reads and commands that wait take turns, so none starves another.
 *
 * <p>Thread-safe. Without work the thread sleeps until it is called.
 *
 * @param <D> the device
 */
public final class DeviceWorker<D> implements AutoCloseable {
  /** Commands that may wait for one device; a client that wants more is told to come back. */
  private static final int QUEUE_CAPACITY = 1024;

  private static final long CLOSE_WAIT_NANOS = 200_000_000;

  /**
   * How long whoever waits for a device waits; a driver call that takes longer most likely hangs.
   */
  public static final Duration ANSWER_TIME = Duration.ofSeconds(10);

  /** A device whose calls take longer is not asked on the caller's thread. */
  private static final long QUICK_NANOS = 50_000;

  /** With more, even a quick device may be one that hangs just now. */
  private static final int FEW_WAITING = 8;

  /** How often to look whether another one's quick call is over; together a few microseconds. */
  private static final int LOOKS_FOR_IDLE = 100;

  /**
   * How many virtual threads at a time may be in a call: a call into the driver pins its carrier,
   * and should it hang, at least one carrier is left for everybody else.
   */
  private static final Semaphore CARRIERS_TO_PIN =
      new Semaphore(
          Integer.getInteger(
                  "jdk.virtualThreadScheduler.parallelism",
                  Runtime.getRuntime().availableProcessors())
              - 1);

  private final int id;
  private final String name;
  private final D device;
  private final Thread thread;

  /** Held during each call of the device. */
  private final ReentrantLock calling = new ReentrantLock();

  /** How long calls took lately: the longest one, fading with each that follows. */
  private volatile long recentNanos;

  /** The caller that asks the device by itself now, or null. */
  private volatile Thread guest;

  private final Lane next = new Lane("actions");
  private final Lane reads = new Lane("reads");
  private final Lane commands = new Lane("commands");

  /** Those of {@link #runOrShare} that have not begun, and that more callers may join. */
  private final Map<Function<? super D, ?>, SharedRead<?>> waitingReads = new ConcurrentHashMap<>();

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

  /** Something to do: run it, or refuse it when the worker closes before its turn. */
  private interface Task {
    void run();

    default void refuse() {}
  }

  /** What waits for its turn, in the order it came. */
  private static final class Lane {
    final String what;
    final ConcurrentLinkedQueue<Task> tasks = new ConcurrentLinkedQueue<>();

    /** Those that somebody else submitted; from the call until they hold the lock. */
    final AtomicInteger waiting = new AtomicInteger();

    Lane(String what) {
      this.what = what;
    }
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
    return enqueue(new Command<>(commands, call));
  }

  /**
   * As {@link #submit}, but asks the device here and now, on the calling thread, if it is idle and
   * its calls have been quick, or if this is within another call of it. Nothing else that was
   * submitted before is overtaken.
   *
   * <p>Should the driver hang in just this call, the caller hangs with it; {@link #isAskedBy}
   * tells.
   */
  public <T> CompletableFuture<T> runOrSubmit(Function<? super D, ? extends T> call) {
    if (isMyTurn()) {
      return runNow(call);
    }
    return isIdleAndQuick() ? runAsGuest(call) : submit(call);
  }

  /**
   * As {@link #runOrSubmit}, for what only reads: it takes turns with the commands that wait,
   * however many they are. If the same object {@code read} waits for its turn already, its value is
   * for this caller, too: what many ask of a slow device does not add up, and yet no value is older
   * than the question.
   *
   * @throws DeviceException.Unavailable if it has been waiting for longer than {@link #ANSWER_TIME}
   */
  public <T> CompletableFuture<T> runOrShare(Function<? super D, ? extends T> read) {
    if (isMyTurn()) {
      return runNow(read);
    }
    if (isIdleAndQuick()) {
      return runAsGuest(read);
    }
    if (recentNanos <= QUICK_NANOS && reads.waiting.get() < FEW_WAITING) {
      // To find out who else waits would take as long as the read.
      return enqueue(new Command<>(reads, read));
    }
    @SuppressWarnings("unchecked")
    SharedRead<T> shared = (SharedRead<T>) waitingReads.computeIfAbsent(read, this::share);
    if (System.nanoTime() - shared.sinceNanos > ANSWER_TIME.toNanos()) {
      // Each one who waits is remembered until the device answers, which may be never.
      throw noAnswer();
    }
    // Whoever gives up does so for itself only.
    return shared.result.copy();
  }

  private SharedRead<?> share(Function<? super D, ?> read) {
    SharedRead<?> shared = new SharedRead<>(read);
    enqueue(shared);
    return shared;
  }

  /** Whether this is within a call of the device, which would wait for itself. */
  private boolean isMyTurn() {
    return calling.isHeldByCurrentThread();
  }

  /** How long calls took lately. */
  long recentNanos() {
    return recentNanos;
  }

  /**
   * Whether the device is idle; then it is the calling thread's turn to call it, until {@link
   * #endTurn}.
   */
  boolean tryTurn() {
    return !closed && calling.tryLock();
  }

  /** After a call that took so long. */
  void endTurn(long tookNanos) {
    noteTime(tookNanos);
    calling.unlock();
  }

  private <T> CompletableFuture<T> runNow(Function<? super D, ? extends T> call) {
    try {
      return CompletableFuture.completedFuture(call.apply(device));
    } catch (Throwable e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private boolean isIdle() {
    return commands.waiting.get() == 0 && reads.waiting.get() == 0;
  }

  private boolean isIdleAndQuick() {
    return recentNanos <= QUICK_NANOS && tryBecomeGuest();
  }

  private <T> CompletableFuture<T> runAsGuest(Function<? super D, ? extends T> call) {
    try {
      return timed(() -> runNow(call));
    } finally {
      leave();
    }
  }

  private boolean tryBecomeGuest() {
    for (int look = 0; look < LOOKS_FOR_IDLE && !closed && isIdle(); look++) {
      if (calling.tryLock()) {
        guest = Thread.currentThread();
        // A command counts as waiting until it holds the lock, so none is overtaken.
        if (isIdle() && (!guest.isVirtual() || CARRIERS_TO_PIN.tryAcquire())) {
          return true;
        }
        guest = null;
        calling.unlock();
      }
      Thread.onSpinWait();
    }
    return false;
  }

  private void leave() {
    if (guest.isVirtual()) {
      CARRIERS_TO_PIN.release();
    }
    guest = null;
    calling.unlock();
  }

  /** Whether {@code thread} is in a call that it runs by itself, as {@link #runOrSubmit} says. */
  public boolean isAskedBy(Thread thread) {
    return guest == thread;
  }

  /** Calls the device, for which it is the caller's turn; tells how quick it is. */
  <T> T timed(Supplier<T> call) {
    long start = System.nanoTime();
    try {
      return call.get();
    } finally {
      noteTime(System.nanoTime() - start);
    }
  }

  private void noteTime(long tookNanos) {
    recentNanos = Math.max(tookNanos, recentNanos - recentNanos / 8);
  }

  /**
   * Runs {@code call} on the device's thread and waits for its value; within another call of the
   * device, it runs at once.
   *
   * @throws DeviceException what the device threw, or why it was not asked, as {@link #submit}
   */
  public <T> T call(Function<? super D, ? extends T> call) {
    return await(isMyTurn() ? runNow(call) : submit(call));
  }

  /**
   * The value of what {@link #submit} returned, or the exception of the call itself. A call that is
   * not over after {@link #ANSWER_TIME} fails, and if it has not begun by then, it never does, but
   * for a read that is shared.
   *
   * @throws DeviceException.Unavailable then, or if the calling thread is interrupted
   * @throws IllegalStateException if this is within a call of the device, before whose end the
   *     other one does not begin
   */
  public static <T> T await(CompletableFuture<T> result) {
    return await(result, System.nanoTime() + ANSWER_TIME.toNanos());
  }

  /** As {@link #await(CompletableFuture)}, but until a moment of {@link System#nanoTime}. */
  public static <T> T await(CompletableFuture<T> result, long deadlineNanos) {
    if (result instanceof Answer<?> answer && !result.isDone() && answer.worker.isMyTurn()) {
      throw new IllegalStateException(
          answer.worker.name
              + ": a call that was submitted begins after this one, which cannot wait for it;"
              + " use call");
    }
    try {
      return result.isDone()
          ? result.join()
          : result.get(deadlineNanos - System.nanoTime(), NANOSECONDS);
    } catch (TimeoutException e) {
      result.completeExceptionally(noAnswer());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      result.completeExceptionally(
          new DeviceException.Unavailable("interrupted while waiting for the device"));
    } catch (ExecutionException | CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException(e);
      }
    }
    return await(result, deadlineNanos);
  }

  /** What there is to say of a device that did not answer in {@link #ANSWER_TIME}. */
  public static DeviceException.Unavailable noAnswer() {
    return new DeviceException.Unavailable(
        "no answer within "
            + ANSWER_TIME.toSeconds()
            + " s, a driver call seems to hang; what was asked may still happen");
  }

  /** Runs {@code action} on the worker's thread, before all that waits for it. */
  void executeNext(Runnable action) {
    push(next, action::run);
  }

  /** Runs {@code work} at {@code dueNanos}, on the worker's thread. */
  void schedule(long dueNanos, Timed work) {
    Timer timer = new Timer(dueNanos, work);
    if (Thread.currentThread() == thread) {
      timers.add(timer);
    } else {
      executeNext(() -> timers.add(timer));
    }
  }

  /** Ends with what the device answers. */
  <T> CompletableFuture<T> newAnswer() {
    return new Answer<>(this);
  }

  private <T> CompletableFuture<T> enqueue(Command<T> command) {
    Lane lane = command.lane;
    if (lane.waiting.incrementAndGet() > QUEUE_CAPACITY) {
      lane.waiting.decrementAndGet();
      throw new DeviceException.Unavailable(
          "%s is busy: %d %s wait for it already; try again later"
              .formatted(name, QUEUE_CAPACITY, lane.what));
    }
    push(lane, command);
    return command.result;
  }

  private void push(Lane lane, Task task) {
    lane.tasks.add(task);
    if (closed) {
      refuseAll();
    } else if (parked) {
      LockSupport.unpark(thread);
    }
  }

  private void loop() {
    try {
      while (!closed) {
        boolean worked = runNext(next);
        worked |= runDueTimer();
        worked |= runNext(reads);
        worked |= runNext(commands);
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

  private boolean runNext(Lane lane) {
    Task task = lane.tasks.poll();
    if (task != null) {
      run(task);
    }
    return task != null;
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
    calling.lock();
    try {
      task.run();
    } catch (Throwable e) {
      // Also an Error: it was raised by one call, and the others know nothing of it.
      System.getLogger(DeviceWorker.class.getName())
          .log(System.Logger.Level.ERROR, "{0}: unexpected exception", name, e);
    } finally {
      calling.unlock();
    }
  }

  private void park() {
    parked = true;
    // Looked at once more after the flag is up: a task added in between sees the flag or is seen.
    if (isEmpty() && !closed) {
      Timer timer = timers.peek();
      if (timer == null) {
        LockSupport.park(this);
      } else {
        LockSupport.parkNanos(this, timer.due - System.nanoTime());
      }
    }
    parked = false;
  }

  private boolean isEmpty() {
    return next.tasks.isEmpty() && reads.tasks.isEmpty() && commands.tasks.isEmpty();
  }

  private void refuseAll() {
    for (Lane lane : List.of(next, reads, commands)) {
      Task task;
      while ((task = lane.tasks.poll()) != null) {
        task.refuse();
      }
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

  private final class SharedRead<T> extends Command<T> {
    private final long sinceNanos = System.nanoTime();

    SharedRead(Function<? super D, ? extends T> read) {
      super(reads, read);
    }

    @Override
    public void run() {
      waitingReads.remove(call, this);
      super.run();
    }
  }

  /** What a call ends with; others that are made from it know as well what they wait for. */
  private static final class Answer<T> extends CompletableFuture<T> {
    final DeviceWorker<?> worker;

    Answer(DeviceWorker<?> worker) {
      this.worker = worker;
    }

    @Override
    public <U> CompletableFuture<U> newIncompleteFuture() {
      return new Answer<>(worker);
    }
  }

  private class Command<T> implements Task {
    final Lane lane;
    final Function<? super D, ? extends T> call;
    final CompletableFuture<T> result = newAnswer();

    Command(Lane lane, Function<? super D, ? extends T> call) {
      this.lane = lane;
      this.call = call;
    }

    @Override
    public void run() {
      lane.waiting.decrementAndGet();
      if (result.isDone()) {
        // Whoever waited has given up.
        return;
      }
      try {
        result.complete(timed(() -> call.apply(device)));
      } catch (Throwable e) {
        result.completeExceptionally(e);
      }
    }

    @Override
    public void refuse() {
      lane.waiting.decrementAndGet();
      result.completeExceptionally(new DeviceException.Unavailable(name + " is closed"));
    }
  }
}
