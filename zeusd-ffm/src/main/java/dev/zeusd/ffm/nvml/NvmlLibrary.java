package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.zeusd.ffm.nvml.raw.Nvml;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The loaded and initialised NVML of this process.
 *
 * <p>Thread-safe. Calls of different devices run side by side, as NVML allows; only {@link #reset}
 * makes itself a moment without calls.
 */
public final class NvmlLibrary implements AutoCloseable {
  /**
   * Where the library may be. The driver ships only the name with the version, which the dynamic
   * linker looks up (LD_LIBRARY_PATH, ld.so.cache). The folders are those that container runtimes
   * and WSL mount without telling the linker.
   */
  private static final List<String> CANDIDATES =
      List.of(
          "libnvidia-ml.so.1",
          "libnvidia-ml.so",
          "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
          "/usr/lib/wsl/lib/libnvidia-ml.so.1");

  /** A call that has been running for longer hangs, and may do so for ever. */
  private static final long HANG_NANOS = 1_000_000_000L;

  private static final long CLOSE_WAIT_NANOS = 200_000_000L;

  private final SymbolLookup symbols;
  private final Map<String, Boolean> present = new ConcurrentHashMap<>();
  private final CallGate gate = new CallGate();

  /** Counts initialisations: a device handle is good for the one it was got in. */
  private volatile int generation;

  /** Touched while calls are held back only. */
  private boolean closed;

  private NvmlLibrary(SymbolLookup symbols) {
    this.symbols = symbols;
  }

  /**
   * Loads the library and initialises it.
   *
   * @throws NvmlException {@link NvmlReturn#LIBRARY_NOT_FOUND} where no library can be loaded,
   *     otherwise what {@code nvmlInit_v2} returned
   */
  public static NvmlLibrary open() throws NvmlException {
    NvmlLibrary library = new NvmlLibrary(load());
    library.init();
    return library;
  }

  @SuppressWarnings("restricted")
  private static SymbolLookup load() throws NvmlException {
    String reason = "";
    for (String candidate : CANDIDATES) {
      try {
        // Never unloaded: the generated bindings keep the addresses of its functions. They look for
        // it by its soname, which the dynamic linker resolves to what is loaded already.
        return SymbolLookup.libraryLookup(candidate, Arena.global());
      } catch (IllegalArgumentException e) {
        if (reason.isEmpty()) {
          reason = e.getMessage();
        }
      }
    }
    throw new NvmlException(
        "libnvidia-ml.so.1 cannot be loaded (" + reason + ")", NvmlReturn.LIBRARY_NOT_FOUND);
  }

  /** How many GPUs the driver reports. */
  public int deviceCount() throws NvmlException {
    CallGate.Caller caller = new CallGate.Caller();
    gate.enter(caller);
    try {
      return countInside();
    } finally {
      gate.leave(caller);
    }
  }

  /** As {@link #deviceCount}, for who has passed the gate. */
  int countInside() throws NvmlException {
    require("nvmlDeviceGetCount_v2");
    try (Arena call = Arena.ofConfined()) {
      MemorySegment count = call.allocate(JAVA_INT);
      check("nvmlDeviceGetCount_v2", Nvml.nvmlDeviceGetCount_v2(count));
      return count.get(JAVA_INT, 0);
    }
  }

  /**
   * The UUID of each GPU, by NVML's index: empty text where it has none, nothing where it does not
   * answer. Resets nothing, whatever is wrong.
   */
  public List<Optional<String>> uuids() throws NvmlException {
    List<Optional<String>> uuids = new ArrayList<>();
    int count = deviceCount();
    CallGate.Caller caller = new CallGate.Caller();
    for (int index = 0; index < count; index++) {
      // Each by itself: together they could seem to hang.
      gate.enter(caller);
      try {
        uuids.add(Optional.of(uuidOf(handle(index))));
      } catch (NvmlException e) {
        uuids.add(Optional.empty());
      } finally {
        gate.leave(caller);
      }
    }
    return uuids;
  }

  /** Empty where the GPU has none; for who has passed the gate. */
  String uuidOf(MemorySegment device) throws NvmlException {
    require("nvmlDeviceGetUUID");
    try (Arena call = Arena.ofConfined()) {
      int size = Nvml.NVML_DEVICE_UUID_V2_BUFFER_SIZE();
      MemorySegment text = call.allocate(size);
      int result = Nvml.nvmlDeviceGetUUID(device, text, size);
      if (result == Nvml.NVML_ERROR_NOT_SUPPORTED()) {
        return "";
      }
      check("nvmlDeviceGetUUID", result);
      return text.getString(0);
    }
  }

  /** How often NVML was initialised: only that can change which GPUs it lists. */
  public int initialisations() {
    return generation;
  }

  /** The version of the driver, such as {@code 580.95.05}. */
  public String driverVersion() throws NvmlException {
    require("nvmlSystemGetDriverVersion");
    CallGate.Caller caller = new CallGate.Caller();
    gate.enter(caller);
    try (Arena call = Arena.ofConfined()) {
      int length = Nvml.NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE();
      MemorySegment version = call.allocate(length);
      check("nvmlSystemGetDriverVersion", Nvml.nvmlSystemGetDriverVersion(version, length));
      return version.getString(0);
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
    return new NvmlDevice(this, index, uuid);
  }

  /**
   * Shuts NVML down and initialises it again, which is what a reloaded driver or a GPU that came
   * back needs. Does nothing when another thread has done so since {@code seenGeneration}.
   *
   * <p>Calls that run are waited for while new ones wait for the end of this, so that slow devices
   * only delay it. A call that hangs delays it no longer than {@link #HANG_NANOS}, and then forbids
   * to shut down, which frees what that call may still use. Only to initialise is always possible,
   * and all that is needed where NVML says that it is not initialised.
   *
   * @param seen what a call came back with that began in {@code seenGeneration}
   * @throws NvmlException what {@code nvmlInit_v2} returned; the next reset tries again
   */
  void reset(int seenGeneration, NvmlReturn seen) throws NvmlException {
    boolean initialised = seen != NvmlReturn.UNINITIALIZED;
    if (initialised && gate.hasOlderThan(HANG_NANOS) || !gate.hold(HANG_NANOS)) {
      return;
    }
    try {
      boolean empty = gate.awaitEmpty(HANG_NANOS);
      if (generation != seenGeneration || closed || initialised && !empty) {
        return;
      }
      if (initialised) {
        Nvml.nvmlShutdown();
      }
      init();
    } finally {
      gate.release();
    }
  }

  private void init() throws NvmlException {
    require("nvmlInit_v2");
    check("nvmlInit_v2", Nvml.nvmlInit_v2());
    generation++;
  }

  /** Handle of a device, for who has passed the gate. */
  MemorySegment handle(int index) throws NvmlException {
    require("nvmlDeviceGetHandleByIndex_v2");
    try (Arena call = Arena.ofConfined()) {
      MemorySegment handle = call.allocate(ADDRESS);
      check("nvmlDeviceGetHandleByIndex_v2", Nvml.nvmlDeviceGetHandleByIndex_v2(index, handle));
      return handle.get(ADDRESS, 0);
    }
  }

  /**
   * Says so when the installed driver is too old to have {@code function}. Asked before the first
   * touch of a generated binding, because those fail for good with an {@code Error} on a missing
   * symbol.
   */
  void require(String function) throws NvmlException {
    if (!has(function)) {
      throw new NvmlException(
          function + ": the installed NVIDIA driver does not have this function",
          NvmlReturn.FUNCTION_NOT_FOUND);
    }
  }

  boolean has(String function) {
    return present.computeIfAbsent(function, name -> symbols.find(name).isPresent());
  }

  static void check(String function, int code) throws NvmlException {
    if (code != 0) {
      throw new NvmlException(function, NvmlReturn.of(code), code);
    }
  }

  CallGate gate() {
    return gate;
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
        Nvml.nvmlShutdown();
      }
    } finally {
      gate.release();
    }
  }
}
