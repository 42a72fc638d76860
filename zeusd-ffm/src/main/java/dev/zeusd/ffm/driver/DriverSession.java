package dev.zeusd.ffm.driver;

/**
 * Whether a vendor's library is initialised, let go of, or failing; and the gate that all its calls
 * pass, so that there is a moment without any when that changes.
 *
 * <p>Thread-safe. What subclasses do is done by one thread at a time, while calls are held back.
 *
 * @param <C> the library's functions
 * @param <E> what goes wrong with it
 */
public abstract class DriverSession<C, E extends DriverException> implements AutoCloseable {
  /** A call that has been running for longer hangs, and may do so for ever. */
  protected static final long HANG_NANOS = 1_000_000_000L;

  /** How long who needs the library waits for another one who is opening it. */
  private static final long OPEN_WAIT_NANOS = 10_000_000_000L;

  private final String name;
  private final CallGate gate = new CallGate();

  /** Its functions while it is initialised, else null. Written while calls are held back. */
  private volatile C open;

  /** Of the driver, as it is open now: a device handle is good for the one it was got in. */
  private volatile int generation;

  /** Why it is not open, if that was tried, or null. */
  private volatile Failure failure;

  // Touched while calls are held back only.
  private final BackOff retries = new BackOff(0, 250_000_000L, 5_000_000_000L);
  private boolean closed;

  private record Failure(DriverException why, long retryNanos) {}

  /** Of nothing yet; {@code name} is the library's, for people. */
  protected DriverSession(String name) {
    this.name = name;
  }

  /**
   * Loads the library if it is not loaded, and initialises it.
   *
   * @param isQuiet whether no call is running, so that it may be exchanged
   * @throws E why that is not possible; then it is not initialised
   */
  protected abstract C initialise(boolean isQuiet) throws E;

  /** Undoes {@link #initialise}. */
  protected abstract void shutDown();

  /** Unloads what can be unloaded. */
  protected abstract void unload();

  /** Why there is no call: another thread takes long to open the library. */
  protected abstract E beingOpened(String message);

  /** Why there is no call: this is closed. */
  protected abstract E closed(String message);

  /**
   * Opens it for the first time; if this throws, nothing stays loaded.
   *
   * @throws E why that is not possible
   */
  public final void open() throws E {
    try {
      init(true);
    } catch (DriverException e) {
      unload();
      throw e;
    }
  }

  /**
   * Counts how often it was initialised, or closed: each time, what it had told may be outdated.
   */
  public final int generation() {
    return generation;
  }

  /** Whether it is initialised now. */
  public final boolean isOpen() {
    return open != null;
  }

  /** How long ago the last call began. */
  public final long quietNanos() {
    return gate.quietNanos();
  }

  /**
   * Lets {@code caller} make a call, as soon as none are held back; opens the library if it was let
   * go of, or failed long enough ago. Whoever comes in has to {@link #leave}.
   *
   * @throws E why it is not open
   */
  public final C enter(CallGate.Caller caller) throws E {
    while (true) {
      if (open == null) {
        openAgain();
      }
      gate.enter(caller);
      C calls = open;
      if (calls != null) {
        return calls;
      }
      gate.leave(caller);
    }
  }

  /** After {@link #enter}. */
  public final void leave(CallGate.Caller caller) {
    gate.leave(caller);
  }

  private void openAgain() throws E {
    refuseWhileFailing();
    if (!gate.hold(OPEN_WAIT_NANOS)) {
      throw beingOpened("opening " + name + " takes long; try again");
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

  /** What {@link #init} has thrown is an E. */
  @SuppressWarnings("unchecked")
  private void refuseWhileFailing() throws E {
    Failure known = failure;
    if (known != null && System.nanoTime() - known.retryNanos < 0) {
      throw (E) known.why;
    }
  }

  private void init(boolean isQuiet) throws E {
    open = null;
    C calls;
    try {
      if (closed) {
        throw closed(name + " is closed");
      }
      calls = initialise(isQuiet);
    } catch (DriverException e) {
      retries.failed();
      failure = new Failure(e, System.nanoTime() + retries.waitNanos());
      throw e;
    }
    retries.reset();
    failure = null;
    generation++;
    open = calls;
  }

  /**
   * Lets go of it if no call has begun for {@code atLeastNanos}; the next call opens it again.
   *
   * @return false if one has, or hangs
   */
  public final boolean release(long atLeastNanos) {
    if (!gate.hold(HANG_NANOS)) {
      return false;
    }
    try {
      boolean isBusy = open != null && quietNanos() < atLeastNanos;
      if (isBusy || !gate.awaitEmpty(HANG_NANOS)) {
        return false;
      }
      letGo();
      return true;
    } finally {
      gate.release();
    }
  }

  private void letGo() {
    if (open != null) {
      open = null;
      shutDown();
    }
    unload();
    failure = null;
  }

  /**
   * Shuts the library down and initialises it again, which is what a reloaded driver or a GPU that
   * came back needs. Does nothing when another thread has done so since {@code seenGeneration}.
   *
   * <p>Calls that run are waited for while new ones wait for the end of this, so that slow devices
   * only delay it. A call that hangs delays it no longer than {@link #HANG_NANOS}, and then forbids
   * to shut down, which frees what that call may still use.
   *
   * @param isInitialised false where the library says that it is not: only to initialise it is
   *     possible even while a call hangs
   * @throws E why it cannot be initialised
   */
  public final void reset(int seenGeneration, boolean isInitialised) throws E {
    if (isInitialised && gate.hasOlderThan(HANG_NANOS) || !gate.hold(HANG_NANOS)) {
      return;
    }
    try {
      boolean isQuiet = gate.awaitEmpty(HANG_NANOS);
      if (generation != seenGeneration || open == null || isInitialised && !isQuiet) {
        return;
      }
      if (isInitialised) {
        shutDown();
      }
      init(isQuiet);
    } finally {
      gate.release();
    }
  }

  /** Shuts it down, once, as {@link CallGate#shutDown} does. */
  @Override
  public final void close() {
    gate.shutDown(name + " shutdown", this::letGoOnce);
  }

  private void letGoOnce() {
    if (!closed) {
      closed = true;
      generation++;
      letGo();
    }
  }
}
