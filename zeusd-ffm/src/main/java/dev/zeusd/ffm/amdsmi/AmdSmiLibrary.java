package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.amdsmi.AmdSmiEdition.Version;
import dev.zeusd.ffm.amdsmi.AmdSmiFile.Candidate;
import dev.zeusd.ffm.amdsmi.raw.AmdSmi;
import dev.zeusd.ffm.driver.BackOff;
import dev.zeusd.ffm.driver.CallGate;
import dev.zeusd.ffm.driver.ResetPermits;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The AMD SMI of this process: initialised, let go of, or failing.
 *
 * <p>Thread-safe. Calls of different GPUs run side by side where the library allows that; when it
 * is initialised or shut down there is a moment without calls.
 */
public final class AmdSmiLibrary implements AutoCloseable {
  /** A GPU that answered within this time is in use, or may be. */
  private static final long LATELY_NANOS = 10_000_000_000L;

  /** A call that has been running for longer hangs, and may do so for ever. */
  private static final long HANG_NANOS = 1_000_000_000L;

  /** Room for the version struct of any edition. */
  private static final long VERSION_ROOM = 64;

  private final AmdSmiCalls calls;
  private final CallGate gate = new CallGate();
  private final List<AmdSmiHandle> handles = new CopyOnWriteArrayList<>();

  /** For trouble of single GPUs. */
  private final ResetPermits resets = new ResetPermits();

  /** Counts initialisations: a handle is good for the one it was got in. */
  private volatile int generation;

  private volatile boolean open;
  private volatile AmdSmiListing listing = AmdSmiListing.empty();
  private volatile OneAtATime turns = new OneAtATime(HANG_NANOS, true);

  /** Why it is not open, if that was tried, or null. */
  private volatile Failure failure;

  // Touched while calls are held back only.
  private final BackOff retries = new BackOff(0, 250_000_000L, 5_000_000_000L);
  private Version version = new Version(0, 0, 0, 0);
  private boolean closed;

  private record Failure(AmdSmiException why, long retryNanos) {}

  private AmdSmiLibrary(List<Candidate> candidates) throws AmdSmiException {
    calls = AmdSmiCalls.load(candidates);
    init();
  }

  /**
   * Loads the library and initialises it.
   *
   * @throws AmdSmiException {@link AmdSmiStatus#LIBRARY_NOT_FOUND} where no library can be loaded,
   *     otherwise what {@code amdsmi_init} returned
   */
  public static AmdSmiLibrary open() throws AmdSmiException {
    return new AmdSmiLibrary(AmdSmiFile.candidates(System.getenv()).toList());
  }

  /** The same with the library of this folder, whatever the environment says. */
  public static AmdSmiLibrary openIn(Path folder) throws AmdSmiException {
    Map<String, String> told = Map.of(AmdSmiFile.LIB_DIR, folder.toAbsolutePath().toString());
    return new AmdSmiLibrary(AmdSmiFile.candidates(told).toList());
  }

  // ---- Opening ----

  private void init() throws AmdSmiException {
    open = false;
    try {
      if (closed) {
        throw new AmdSmiException("AMD SMI is closed", AmdSmiStatus.NOT_INIT);
      }
      AmdSmiFunction.INIT.check(
          calls.call(AmdSmiFunction.INIT, (long) AmdSmi.AMDSMI_INIT_AMD_GPUS()));
      try {
        version = readVersion();
        turns = new OneAtATime(HANG_NANOS, !calls.edition().isParallel(version));
        listing = AmdSmiListing.read(calls);
      } catch (AmdSmiException e) {
        calls.call(AmdSmiFunction.SHUT_DOWN);
        throw e;
      }
    } catch (AmdSmiException e) {
      retries.failed();
      failure = new Failure(e, System.nanoTime() + retries.waitNanos());
      throw e;
    }
    retries.reset();
    failure = null;
    generation++;
    open = true;
  }

  private Version readVersion() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_LIB_VERSION;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment struct = call.allocate(VERSION_ROOM, Long.BYTES);
      function.check(calls.call(function, struct));
      Version told = calls.edition().version(struct);
      if (!calls.edition().isOf(told)) {
        throw new AmdSmiException(
            "%s says that its version is %s, which zeusd does not know; it needs ROCm 6.3 to 7"
                .formatted(calls.file(), told),
            AmdSmiStatus.FAIL_LOAD_MODULE);
      }
      return told;
    }
  }

  /** Version and file, for people. */
  public String description() {
    return version + " from " + calls.file() + (turns.isNeeded() ? ", one call at a time" : "");
  }

  /** Where GPUs were when AMD SMI was initialised the last time. */
  public List<AmdSmiPlace> places() {
    return listing.places();
  }

  /** The GPU at this place. It need not answer now. */
  public AmdSmiDevice device(AmdSmiPlace place) {
    AmdSmiHandle handle = new AmdSmiHandle(this, place);
    handles.add(handle);
    return new AmdSmiDevice(this, place, handle);
  }

  /** How often AMD SMI was initialised: only that can change which GPUs it lists. */
  public int initialisations() {
    return generation;
  }

  AmdSmiListing listing() {
    return listing;
  }

  AmdSmiEdition edition() {
    return calls.edition();
  }

  OneAtATime turns() {
    return turns;
  }

  /**
   * Lets {@code caller} make a call, as soon as none are held back; opens AMD SMI if it was let go
   * of, or failed long enough ago. Whoever comes in has to {@link #leave}.
   */
  AmdSmiCalls enter(CallGate.Caller caller) throws AmdSmiException {
    while (true) {
      if (!open) {
        openAgain();
      }
      gate.enter(caller);
      if (open) {
        return calls;
      }
      gate.leave(caller);
    }
  }

  void leave(CallGate.Caller caller) {
    gate.leave(caller);
  }

  private void openAgain() throws AmdSmiException {
    refuseWhileFailing();
    if (!gate.hold(HANG_NANOS)) {
      throw new AmdSmiException("opening AMD SMI takes long; try again", AmdSmiStatus.TIMEOUT);
    }
    try {
      if (!open) {
        refuseWhileFailing();
        init();
      }
    } finally {
      gate.release();
    }
  }

  private void refuseWhileFailing() throws AmdSmiException {
    Failure known = failure;
    if (known != null && System.nanoTime() - known.retryNanos < 0) {
      throw known.why;
    }
  }

  // ---- Letting go ----

  /**
   * Shuts AMD SMI down, so that the driver can be unloaded. The next call opens it again.
   *
   * @return false if a call hangs, or one has begun within {@code atLeastNanos}
   */
  public boolean release(long atLeastNanos) {
    if (!gate.hold(HANG_NANOS)) {
      return false;
    }
    try {
      boolean busy = open && quietNanos() < atLeastNanos;
      if (busy || !gate.awaitEmpty(HANG_NANOS)) {
        return false;
      }
      shutDown();
      failure = null;
      return true;
    } finally {
      gate.release();
    }
  }

  /** How long ago the last call began. */
  public long quietNanos() {
    return gate.quietNanos();
  }

  /** Whether it is initialised now. */
  public boolean isOpen() {
    return open;
  }

  /** While no call is running. */
  private void shutDown() {
    if (open) {
      open = false;
      try {
        calls.call(AmdSmiFunction.SHUT_DOWN);
      } catch (AmdSmiException e) {
        // It lacks the function: then there is no more to be done.
      }
    }
  }

  /** Shuts it down, once, as {@link CallGate#shutDown} does. */
  @Override
  public void close() {
    gate.shutDown("AMD SMI shutdown", this::shutDownOnce);
  }

  private void shutDownOnce() {
    if (!closed) {
      closed = true;
      generation++;
      shutDown();
    }
  }

  // ---- Trouble ----

  /**
   * Told by a GPU that AMD SMI does not know, or does not reach, any more. It is initialised anew
   * if that is so for all, or if nobody would notice: as long as others are in use and answer, they
   * are not held up for this one.
   */
  void trouble(AmdSmiHandle device, int seenGeneration, AmdSmiStatus seen) throws AmdSmiException {
    boolean general = seen == AmdSmiStatus.NOT_INIT || seen == AmdSmiStatus.DRIVER_NOT_LOADED;
    if (open && (general || isAlone(device) && resets.take())) {
      reset(seenGeneration, seen);
    }
  }

  private boolean isAlone(AmdSmiHandle device) {
    return handles.stream().noneMatch(other -> other != device && other.hasAnswered(LATELY_NANOS));
  }

  /** A GPU that was in trouble answers. */
  void recovered() {
    resets.recovered();
  }

  /** Initialises it anew, unless somebody has done so since. A call that hangs forbids it. */
  private void reset(int seenGeneration, AmdSmiStatus seen) throws AmdSmiException {
    if (gate.hasOlderThan(HANG_NANOS) || !gate.hold(HANG_NANOS)) {
      return;
    }
    try {
      if (gate.awaitEmpty(HANG_NANOS) && generation == seenGeneration && open) {
        if (seen != AmdSmiStatus.NOT_INIT) {
          calls.call(AmdSmiFunction.SHUT_DOWN);
        }
        init();
      }
    } finally {
      gate.release();
    }
  }
}
