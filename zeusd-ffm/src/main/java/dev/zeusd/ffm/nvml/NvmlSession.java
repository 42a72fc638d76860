package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.driver.BackOff;
import dev.zeusd.ffm.driver.CallGate;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Whether NVML is loaded and initialised, let go of, or failing; and the gate that all calls pass,
 * so that there is a moment without any when that changes.
 *
 * <p>Thread-safe.
 */
final class NvmlSession implements AutoCloseable {
  /** A call that has been running for longer hangs, and may do so for ever. */
  private static final long HANG_NANOS = 1_000_000_000L;

  /** How long who needs NVML waits for another one who is opening it. */
  private static final long OPEN_WAIT_NANOS = 10_000_000_000L;

  private final Optional<Path> folder;
  private final Predicate<Path> afterUpgrade;
  private final CallGate gate = new CallGate();

  /** Its functions while it is initialised, else null. Written while calls are held back. */
  private volatile NvmlCalls open;

  /** Counts initialisations: a device handle is good for the one it was got in. */
  private volatile int generation;

  /** Why it is not open, if that was tried, or null. */
  private volatile Failure failure;

  // Touched while calls are held back only.
  private final BackOff retries = new BackOff(0, 250_000_000L, 5_000_000_000L);
  private NvmlCalls loaded;
  private boolean hasWorked;
  private boolean exchangesAfterUpgrade = true;
  private boolean closed;

  private record Failure(NvmlException why, long retryNanos) {}

  /** Loads and initialises it, as {@link NvmlLibrary#open(Optional, Predicate)} says. */
  NvmlSession(Optional<Path> folder, Predicate<Path> afterUpgrade) throws NvmlException {
    this.folder = folder;
    this.afterUpgrade = afterUpgrade;
    try {
      init(true);
    } catch (NvmlException e) {
      unload();
      throw e;
    }
  }

  int generation() {
    return generation;
  }

  /**
   * Lets {@code caller} make a call, as soon as none are held back; opens NVML if it was let go of,
   * or failed long enough ago. Whoever comes in has to {@link #leave}.
   */
  NvmlCalls enter(CallGate.Caller caller) throws NvmlException {
    while (true) {
      if (open == null) {
        openAgain();
      }
      gate.enter(caller);
      NvmlCalls calls = open;
      if (calls != null) {
        return calls;
      }
      gate.leave(caller);
    }
  }

  void leave(CallGate.Caller caller) {
    gate.leave(caller);
  }

  private void openAgain() throws NvmlException {
    refuseWhileFailing();
    if (!gate.hold(OPEN_WAIT_NANOS)) {
      throw new NvmlException("opening NVML takes long; try again", NvmlReturn.TIMEOUT);
    }
    try {
      if (open == null) {
        refuseWhileFailing();
        init(gate.awaitEmpty(0));
      }
    } finally {
      gate.release();
    }
  }

  private void refuseWhileFailing() throws NvmlException {
    Failure known = failure;
    if (known != null && System.nanoTime() - known.retryNanos < 0) {
      throw known.why;
    }
  }

  /**
   * While calls are held back.
   *
   * @param quiet whether none is running, so that the library may be exchanged
   */
  private void init(boolean quiet) throws NvmlException {
    open = null;
    try {
      if (closed) {
        throw new NvmlException("NVML is closed", NvmlReturn.UNINITIALIZED);
      }
      if (loaded == null) {
        loaded = NvmlCalls.load(folder);
      }
      int result = loaded.call(NvmlFunction.INIT);
      if (result == NvmlReturn.LIB_RM_VERSION_MISMATCH.code() && mayExchange() && quiet) {
        unload();
        loaded = NvmlCalls.load(folder);
        result = loaded.call(NvmlFunction.INIT);
      }
      NvmlFunction.INIT.check(result);
    } catch (NvmlException e) {
      retries.failed();
      failure = new Failure(e, System.nanoTime() + retries.waitNanos());
      throw e;
    }
    retries.reset();
    failure = null;
    hasWorked = true;
    generation++;
    open = loaded;
  }

  /** Library and kernel differ: asked once for each library that has worked. */
  private boolean mayExchange() {
    if (hasWorked) {
      hasWorked = false;
      exchangesAfterUpgrade = afterUpgrade.test(loaded.file());
    }
    return exchangesAfterUpgrade;
  }

  private void unload() {
    if (loaded != null) {
      loaded.close();
      loaded = null;
    }
  }

  /**
   * Lets go of it if no call has begun for {@code atLeastNanos}.
   *
   * @return false if one has, or hangs
   */
  boolean release(long atLeastNanos) {
    if (!gate.hold(HANG_NANOS)) {
      return false;
    }
    try {
      boolean busy = open != null && quietNanos() < atLeastNanos;
      if (busy || !gate.awaitEmpty(HANG_NANOS)) {
        return false;
      }
      shutDown();
      return true;
    } finally {
      gate.release();
    }
  }

  /** How long ago the last call began. */
  long quietNanos() {
    return gate.quietNanos();
  }

  /** Whether NVML is initialised now. */
  boolean isOpen() {
    return open != null;
  }

  /** While no call is running. */
  private void shutDown() {
    if (open != null) {
      open = null;
      try {
        loaded.call(NvmlFunction.SHUTDOWN);
      } catch (NvmlException e) {
        // It lacks the function: then there is no more to be done.
      }
    }
    unload();
    failure = null;
  }

  /**
   * Shuts NVML down and initialises it again, which is what a reloaded driver or a GPU that came
   * back needs. Does nothing when another thread has done so since {@code seenGeneration}.
   *
   * <p>Calls that run are waited for while new ones wait for the end of this, so that slow devices
   * only delay it. A call that hangs delays it no longer than {@link #HANG_NANOS}, and then forbids
   * to shut down, which frees what that call may still use. Only to initialise is always possible,
   * and all that is needed where NVML says that it is not initialised.
   */
  void reset(int seenGeneration, NvmlReturn seen) throws NvmlException {
    boolean initialised = seen != NvmlReturn.UNINITIALIZED;
    if (initialised && gate.hasOlderThan(HANG_NANOS) || !gate.hold(HANG_NANOS)) {
      return;
    }
    try {
      boolean empty = gate.awaitEmpty(HANG_NANOS);
      if (generation != seenGeneration || open == null || initialised && !empty) {
        return;
      }
      if (initialised) {
        loaded.call(NvmlFunction.SHUTDOWN);
      }
      init(empty);
    } finally {
      gate.release();
    }
  }

  /** Shuts it down, once, as {@link CallGate#shutDown} does. */
  @Override
  public void close() {
    gate.shutDown("nvml shutdown", this::shutDownOnce);
  }

  private void shutDownOnce() {
    if (!closed) {
      closed = true;
      generation++;
      shutDown();
    }
  }
}
