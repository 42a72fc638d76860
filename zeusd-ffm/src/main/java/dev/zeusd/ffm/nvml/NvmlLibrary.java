package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.zeusd.ffm.nvml.raw.Nvml;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;

/**
 * The NVML of this process: loaded and initialised, let go of, or failing.
 *
 * <p>Thread-safe. Calls of different devices run side by side, as NVML allows; only when NVML is
 * initialised or shut down there is a moment without calls.
 */
public final class NvmlLibrary implements AutoCloseable {
  /** A call that has been running for longer hangs, and may do so for ever. */
  private static final long HANG_NANOS = 1_000_000_000L;

  private static final long CLOSE_WAIT_NANOS = 200_000_000L;

  /** How long who needs NVML waits for another one who is opening it. */
  private static final long OPEN_WAIT_NANOS = 10_000_000_000L;

  /** A device that answered within this time is in use, or may be. */
  private static final long LATELY_NANOS = 10_000_000_000L;

  /** No machine has more; a driver that counts more counts wrong. */
  private static final long MAX_GPUS = 256;

  private final Predicate<Path> afterUpgrade;
  private final CallGate gate = new CallGate();
  private final List<NvmlDevice> devices = new CopyOnWriteArrayList<>();

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

  /** For trouble of single devices; guarded by itself. */
  private final BackOff resets = new BackOff(0, 1_000_000_000L, 30_000_000_000L);

  private record Failure(NvmlException why, long retryNanos) {}

  private NvmlLibrary(Predicate<Path> afterUpgrade) {
    this.afterUpgrade = afterUpgrade;
  }

  /**
   * Loads the library and initialises it.
   *
   * @param afterUpgrade called when the driver turns out to have been upgraded since, with the file
   *     that was loaded; whether to go on with the new one in this process
   * @throws NvmlException {@link NvmlReturn#LIBRARY_NOT_FOUND} where no library can be loaded,
   *     otherwise what {@code nvmlInit_v2} returned; then nothing stays loaded
   */
  public static NvmlLibrary open(Predicate<Path> afterUpgrade) throws NvmlException {
    NvmlLibrary library = new NvmlLibrary(afterUpgrade);
    try {
      library.init(true);
    } catch (NvmlException e) {
      library.unload();
      throw e;
    }
    return library;
  }

  /** The same, going on with the new library after an upgrade. */
  public static NvmlLibrary open() throws NvmlException {
    return open(file -> true);
  }

  // ---- Questions to the library ----

  /** How many GPUs the driver reports. */
  public int deviceCount() throws NvmlException {
    CallGate.Caller caller = new CallGate.Caller();
    NvmlCalls calls = enter(caller);
    try {
      return count(calls);
    } finally {
      gate.leave(caller);
    }
  }

  /** As {@link #deviceCount}, for who has passed the gate. */
  static int count(NvmlCalls calls) throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment count = call.allocateFrom(JAVA_INT, -1);
      check(NvmlFunction.GET_COUNT, calls.call(NvmlFunction.GET_COUNT, count));
      long gpus = Integer.toUnsignedLong(count.get(JAVA_INT, 0));
      if (gpus > MAX_GPUS) {
        throw new NvmlException(NvmlFunction.GET_COUNT, gpus + " GPUs");
      }
      return (int) gpus;
    }
  }

  /**
   * The UUID of each GPU, by NVML's index: empty text where it tells none, nothing where the GPU
   * does not answer. Resets nothing, whatever is wrong.
   */
  public List<Optional<String>> uuids() throws NvmlException {
    List<Optional<String>> uuids = new ArrayList<>();
    int count = deviceCount();
    CallGate.Caller caller = new CallGate.Caller();
    for (int index = 0; index < count; index++) {
      // Each by itself: together they could seem to hang.
      NvmlCalls calls = enter(caller);
      try {
        uuids.add(uuid(calls, handle(calls, index)));
      } catch (NvmlException e) {
        uuids.add(Optional.empty());
      } finally {
        gate.leave(caller);
      }
    }
    return uuids;
  }

  private static Optional<String> uuid(NvmlCalls calls, MemorySegment device) {
    try {
      return Optional.of(uuidOf(calls, device));
    } catch (NvmlException e) {
      return NvmlDevice.isGone(e.result()) ? Optional.empty() : Optional.of("");
    }
  }

  /** For who has passed the gate. */
  static String uuidOf(NvmlCalls calls, MemorySegment device) throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      int size = Nvml.NVML_DEVICE_UUID_V2_BUFFER_SIZE();
      MemorySegment text = call.allocate(size);
      check(NvmlFunction.GET_UUID, calls.call(NvmlFunction.GET_UUID, device, text, size));
      return NvmlText.read(NvmlFunction.GET_UUID, text);
    }
  }

  /** How often NVML was initialised: only that can change which GPUs it lists. */
  public int initialisations() {
    return generation;
  }

  /** The version of the driver, such as {@code 580.95.05}. */
  public String driverVersion() throws NvmlException {
    CallGate.Caller caller = new CallGate.Caller();
    NvmlCalls calls = enter(caller);
    try (Arena call = Arena.ofConfined()) {
      int length = Nvml.NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE();
      MemorySegment version = call.allocate(length);
      NvmlFunction function = NvmlFunction.GET_DRIVER_VERSION;
      check(function, calls.call(function, version, length));
      return NvmlText.read(function, version);
    } finally {
      gate.leave(caller);
    }
  }

  /**
   * The GPU with NVML's index {@code index}. It need not answer now: a GPU that is lost at this
   * moment is found again by a later call.
   */
  public NvmlDevice device(int index) {
    return device(index, "");
  }

  /** The same for the GPU with this UUID, wherever it is. */
  public NvmlDevice device(int index, String uuid) {
    NvmlDevice device = new NvmlDevice(this, index, uuid);
    devices.add(device);
    return device;
  }

  /** Handle of a device, for who has passed the gate. */
  static MemorySegment handle(NvmlCalls calls, int index) throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment handle = call.allocate(ADDRESS);
      NvmlFunction function = NvmlFunction.GET_HANDLE_BY_INDEX;
      check(function, calls.call(function, index, handle));
      MemorySegment device = handle.get(ADDRESS, 0);
      if (device.equals(MemorySegment.NULL)) {
        throw new NvmlException(function, "no handle");
      }
      return device;
    }
  }

  static void check(NvmlFunction function, int code) throws NvmlException {
    if (code != 0) {
      throw new NvmlException(function, code);
    }
  }

  // ---- Open, or not ----

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
        loaded = NvmlCalls.load();
      }
      int result = loaded.call(NvmlFunction.INIT);
      if (result == NvmlReturn.LIB_RM_VERSION_MISMATCH.code() && mayExchange() && quiet) {
        unload();
        loaded = NvmlCalls.load();
        result = loaded.call(NvmlFunction.INIT);
      }
      check(NvmlFunction.INIT, result);
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
   * Shuts NVML down and unloads it, so that the driver can be unloaded, a GPU reset, unbound or
   * partitioned. The next call opens it again, and loads the library that there is by then.
   *
   * @return false if a call hangs, so that it cannot be let go of
   */
  public boolean release() {
    return release(Long.MIN_VALUE);
  }

  /** As {@link #release()}, if no call has begun for {@code atLeastNanos}. */
  public boolean release(long atLeastNanos) {
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
  public long quietNanos() {
    return gate.quietNanos();
  }

  /** Whether NVML is initialised now. */
  public boolean isOpen() {
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

  // ---- Trouble ----

  /**
   * Told by a device that NVML does not know, or does not reach, any more. NVML is initialised anew
   * if that is so for all, or if nobody would notice: as long as others are in use and answer, they
   * are not held up for this one.
   *
   * @param seen what a call came back with that began in {@code seenGeneration}
   * @throws NvmlException what {@code nvmlInit_v2} returned
   */
  void trouble(NvmlDevice device, int seenGeneration, NvmlReturn seen) throws NvmlException {
    if (!isOpen()) {
      // Known already, and tried again when a call needs it.
      return;
    }
    if (isGeneral(seen) && !answers() || isAlone(device) && isTimeToReset()) {
      reset(seenGeneration, seen);
    }
  }

  private static boolean isGeneral(NvmlReturn result) {
    return switch (result) {
      case UNINITIALIZED, DRIVER_NOT_LOADED, LIB_RM_VERSION_MISMATCH -> true;
      default -> false;
    };
  }

  private boolean answers() {
    try {
      deviceCount();
      return true;
    } catch (NvmlException e) {
      return !isGeneral(e.result());
    }
  }

  private boolean isAlone(NvmlDevice device) {
    return devices.stream().noneMatch(other -> other != device && other.hasAnswered(LATELY_NANOS));
  }

  private boolean isTimeToReset() {
    synchronized (resets) {
      if (resets.isWaiting()) {
        return false;
      }
      resets.failed();
      return true;
    }
  }

  /** A device that was in trouble answers. */
  void recovered() {
    synchronized (resets) {
      resets.reset();
    }
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
  private void reset(int seenGeneration, NvmlReturn seen) throws NvmlException {
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

  /**
   * Shuts NVML down, once. Calls that are running get a moment to end; with one that hangs, NVML is
   * left as it is, since the process is about to go anyway.
   */
  @Override
  public void close() {
    if (!gate.hold(CLOSE_WAIT_NANOS)) {
      return;
    }
    try {
      if (gate.awaitEmpty(CLOSE_WAIT_NANOS) && !closed) {
        closed = true;
        generation++;
        shutDown();
      }
    } finally {
      gate.release();
    }
  }
}
