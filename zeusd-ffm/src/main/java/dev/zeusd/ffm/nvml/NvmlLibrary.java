package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.zeusd.ffm.driver.CallGate;
import dev.zeusd.ffm.driver.ResetPermits;
import dev.zeusd.ffm.nvml.raw.Nvml;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The NVML of this process: loaded and initialised, let go of, or failing.
 *
 * <p>Thread-safe. Calls of different devices run side by side, as NVML allows; only when NVML is
 * initialised or shut down there is a moment without calls.
 */
public final class NvmlLibrary implements AutoCloseable {
  /** No machine has more; a driver that counts more counts wrong. */
  private static final long MAX_GPUS = 256;

  private final NvmlSession session;

  /** For trouble of single devices. */
  private final ResetPermits resets = new ResetPermits();

  private NvmlLibrary(NvmlSession session) {
    this.session = session;
  }

  /**
   * Loads the library and initialises it.
   *
   * @param folder where it is; without it, in the usual places
   * @param afterUpgrade called when the driver turns out to have been upgraded since, with the file
   *     that was loaded; whether to go on with the new one in this process
   * @throws NvmlException {@link NvmlReturn#LIBRARY_NOT_FOUND} where no library can be loaded,
   *     otherwise what {@code nvmlInit_v2} returned; then nothing stays loaded
   */
  public static NvmlLibrary open(Optional<Path> folder, Predicate<Path> afterUpgrade)
      throws NvmlException {
    NvmlSession session = new NvmlSession(folder, afterUpgrade);
    session.open();
    return new NvmlLibrary(session);
  }

  /** The same from the usual places, going on with the new library after an upgrade. */
  public static NvmlLibrary open() throws NvmlException {
    return open(Optional.empty(), file -> true);
  }

  // ---- Questions to the library ----

  /** How many GPUs the driver reports. */
  public int deviceCount() throws NvmlException {
    CallGate.Caller caller = new CallGate.Caller();
    NvmlCalls calls = session.enter(caller);
    try {
      return count(calls);
    } finally {
      session.leave(caller);
    }
  }

  /** As {@link #deviceCount}, for who has passed the gate. */
  static int count(NvmlCalls calls) throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment count = call.allocateFrom(JAVA_INT, -1);
      NvmlFunction.GET_COUNT.check(calls.call(NvmlFunction.GET_COUNT, count));
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
      NvmlCalls calls = session.enter(caller);
      try {
        uuids.add(uuid(calls, handle(calls, index)));
      } catch (NvmlException e) {
        uuids.add(Optional.empty());
      } finally {
        session.leave(caller);
      }
    }
    return uuids;
  }

  private static Optional<String> uuid(NvmlCalls calls, MemorySegment device) {
    try {
      return Optional.of(uuidOf(calls, device));
    } catch (NvmlException e) {
      return NvmlHandle.isGone(e.result()) ? Optional.empty() : Optional.of("");
    }
  }

  /** For who has passed the gate. */
  static String uuidOf(NvmlCalls calls, MemorySegment device) throws NvmlException {
    int size = Nvml.NVML_DEVICE_UUID_V2_BUFFER_SIZE();
    return NvmlText.ask(calls, NvmlFunction.GET_UUID, device, size);
  }

  /** Which GPUs NVML lists can change only when this does: it grows when NVML is initialised. */
  public int generation() {
    return session.generation();
  }

  /** The version of the driver, such as {@code 580.95.05}. */
  public String driverVersion() throws NvmlException {
    CallGate.Caller caller = new CallGate.Caller();
    NvmlCalls calls = session.enter(caller);
    try (Arena call = Arena.ofConfined()) {
      int length = Nvml.NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE();
      MemorySegment version = call.allocate(length);
      NvmlFunction function = NvmlFunction.GET_DRIVER_VERSION;
      function.check(calls.call(function, version, length));
      return NvmlText.read(function, version);
    } finally {
      session.leave(caller);
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
    NvmlPlace place = new NvmlPlace(index, uuid);
    return new NvmlDevice(place, new NvmlHandle(this, place, resets.add()));
  }

  /** Handle of a device, for who has passed the gate. */
  static MemorySegment handle(NvmlCalls calls, int index) throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment handle = call.allocate(ADDRESS);
      NvmlFunction function = NvmlFunction.GET_HANDLE_BY_INDEX;
      function.check(calls.call(function, index, handle));
      MemorySegment device = handle.get(ADDRESS, 0);
      if (device.equals(MemorySegment.NULL)) {
        throw new NvmlException(function, "no handle");
      }
      return device;
    }
  }

  NvmlSession session() {
    return session;
  }

  // ---- Letting go ----

  /**
   * Shuts NVML down and unloads it, so that the driver can be unloaded, a GPU reset, unbound or
   * partitioned. The next call opens it again, and loads the library that there is by then.
   *
   * @return false if a call hangs, so that it cannot be let go of
   */
  public boolean release() {
    return session.release(Long.MIN_VALUE);
  }

  /** As {@link #release()}, if no call has begun for {@code atLeastNanos}. */
  public boolean release(long atLeastNanos) {
    return session.release(atLeastNanos);
  }

  /** How long ago the last call began. */
  public long quietNanos() {
    return session.quietNanos();
  }

  /** Whether NVML is initialised now. */
  public boolean isOpen() {
    return session.isOpen();
  }

  /**
   * Shuts NVML down, once. Calls that are running get a moment to end; with one that hangs, NVML is
   * left as it is, since the process is about to go anyway.
   */
  @Override
  public void close() {
    session.close();
  }

  // ---- Trouble ----

  /**
   * Told by a device that NVML does not know, or does not reach, any more. NVML is initialised anew
   * if that is so for all, or if nobody would notice.
   *
   * @param seen what a call came back with that began in {@code seenGeneration}
   * @throws NvmlException what {@code nvmlInit_v2} returned
   */
  void trouble(ResetPermits.Device device, int seenGeneration, NvmlReturn seen)
      throws NvmlException {
    if (!session.isOpen()) {
      // Known already, and tried again when a call needs it.
      return;
    }
    if (isGeneral(seen) && !answers() || device.takePermit()) {
      session.reset(seenGeneration, seen != NvmlReturn.UNINITIALIZED);
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
}
