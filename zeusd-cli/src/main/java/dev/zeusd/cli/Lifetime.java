package dev.zeusd.cli;

import dev.zeusd.ffm.posix.Signals;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * From the first moment of {@code zeusd serve} to its last: SIGTERM and SIGINT close what has been
 * opened until then, and end the process with status 0.
 */
final class Lifetime {
  private static final System.Logger LOG = System.getLogger("dev.zeusd");

  /** A step of the start that is under way ends much sooner, but on a machine with much to do. */
  private static final long STEP_MILLIS = 5000;

  /** Held during a step of the start that must be complete before it can be undone. */
  private static final ReentrantLock STEP = new ReentrantLock();

  /** What to close, the last one first; guarded by {@link #STEP}. */
  private static final Deque<Runnable> CLOSE = new ArrayDeque<>();

  private static final AtomicBoolean STOPPING = new AtomicBoolean();

  private static final Object HANG_UP = new Object();
  private static final Object HANG_UP_ACTION = new Object();

  // Guarded by HANG_UP.
  private static Optional<Runnable> onHangUp = Optional.empty();
  private static boolean hangUpIsDue;

  /** By {@link #exit}. */
  private static volatile boolean exiting;

  private static volatile Thread starter = Thread.currentThread();

  private Lifetime() {}

  /** Begins; to be called by the thread that starts everything, before anything else. */
  static void begin() {
    starter = Thread.currentThread();
    Runtime.getRuntime().addShutdownHook(new Thread(Lifetime::stop, "shutdown"));
  }

  /** From here on SIGHUP does not end the process. Takes its time: not for the main thread. */
  static void surviveHangUp() {
    Signals.on("HUP", Lifetime::hangUp);
  }

  /** What to do at SIGHUP; one that came during the start counts, too. */
  static void onHangUp(Runnable action) {
    boolean isDue;
    synchronized (HANG_UP) {
      onHangUp = Optional.of(action);
      isDue = hangUpIsDue;
    }
    if (isDue) {
      hangUp();
    }
  }

  private static void hangUp() {
    Optional<Runnable> action;
    synchronized (HANG_UP) {
      action = onHangUp;
      hangUpIsDue = action.isEmpty();
    }
    // One after the other: it runs on a new thread for each signal.
    synchronized (HANG_UP_ACTION) {
      action.ifPresent(Runnable::run);
    }
  }

  /** Ends the process with a status, unless a signal is just ending it with another one. */
  static void exit(int status) {
    if (!STOPPING.compareAndSet(false, true)) {
      awaitEndIfStopping();
    }
    exiting = true;
    if (isEnding()) {
      // Waits until the hooks have done what they are for, and ends with the signal's status.
      System.exit(status);
    }
    // Not by System.exit, which looks for a logger in all jars first, to tell it nothing: 40 ms.
    System.out.flush();
    System.err.flush();
    Runtime.getRuntime().halt(status);
  }

  /** Whether a signal is just ending this process. */
  private static boolean isEnding() {
    try {
      Thread probe = new Thread(() -> {});
      Runtime.getRuntime().addShutdownHook(probe);
      Runtime.getRuntime().removeShutdownHook(probe);
      return false;
    } catch (IllegalStateException e) {
      return true;
    }
  }

  /**
   * Opens something, in a step that is not stopped half way.
   *
   * @param open leaves nothing behind if it throws
   * @param close undoes it
   * @return what was opened; never, if the process is ending
   */
  static <T> T open(Supplier<T> open, Consumer<T> close) {
    STEP.lock();
    try {
      T opened = open.get();
      CLOSE.push(() -> close.accept(opened));
      return opened;
    } finally {
      STEP.unlock();
    }
  }

  /** To be called before a failure is reported: if the process is ending, that is why. */
  static void awaitEndIfStopping() {
    while (STOPPING.get()) {
      LockSupport.park();
      Thread.interrupted();
    }
  }

  /** Closes what has been opened, after a start that has failed. */
  static void closeAll() {
    STEP.lock();
    try {
      closeOpened();
    } finally {
      STEP.unlock();
    }
  }

  /** Closes what has been opened, and ends the process; returns at once. */
  static void endWith(int status) {
    // On a thread of its own: the caller may be one that what is closed waits for.
    Thread.ofPlatform().daemon().name("end").start(() -> stop(status));
  }

  /** Runs on a signal; and when the process exits, with nothing left to do. */
  private static void stop() {
    if (!exiting) {
      // Asked to stop, and stopped, is success; a JVM that ends by a signal would report 143.
      stop(0);
      // Somebody else has begun to end the process, with a status of their own.
      awaitEndIfStopping();
    }
  }

  private static void stop(int status) {
    if (!STOPPING.compareAndSet(false, true)) {
      return;
    }
    try {
      if (!STEP.tryLock()) {
        // Ends its waiting for another daemon.
        starter.interrupt();
        STEP.tryLock(STEP_MILLIS, TimeUnit.MILLISECONDS);
      }
      if (isEnding()) {
        Logging.awaitReset();
      }
      closeOpened();
      Logging.sayLast("stopped");
    } catch (InterruptedException | RuntimeException e) {
      LOG.log(System.Logger.Level.ERROR, "unexpected failure while stopping", e);
    } finally {
      Runtime.getRuntime().halt(status);
    }
  }

  private static void closeOpened() {
    while (!CLOSE.isEmpty()) {
      CLOSE.pop().run();
    }
  }
}
