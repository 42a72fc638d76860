package dev.zeusd.ffm.nvml;

import java.lang.foreign.Arena;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.Optional;

/**
 * One loaded library: its functions, looked up in this file and in no other, and the way to call
 * them. A function that it lacks is an {@link NvmlException}.
 *
 * <p>Thread-safe. Calls that may run while {@link #close} does are kept away by {@link
 * dev.zeusd.ffm.driver.CallGate}.
 */
final class NvmlCalls implements AutoCloseable {
  /**
   * One for each form of a function; the function's address is the first argument. In classes of
   * their own, so that a Java that may not call native code says so when the library is loaded, and
   * not by a class that cannot be initialised.
   */
  private static final class Often {
    static final MethodHandle NOTHING = handle(NvmlFunction.INIT);
    static final MethodHandle POINTER = handle(NvmlFunction.GET_COUNT);
    static final MethodHandle POINTER_INT = handle(NvmlFunction.GET_DRIVER_VERSION);
    static final MethodHandle INT_POINTER = handle(NvmlFunction.GET_HANDLE_BY_INDEX);
    static final MethodHandle POINTERS_INT = handle(NvmlFunction.GET_NAME);
    static final MethodHandle POINTERS = handle(NvmlFunction.GET_POWER_USAGE);
    static final MethodHandle POINTER_INT_POINTER = handle(NvmlFunction.GET_FIELD_VALUES);
  }

  /** The same, for what is called seldom and not at the start. */
  private static final class Seldom {
    static final MethodHandle POINTERS_3 = handle(NvmlFunction.GET_POWER_LIMIT_CONSTRAINTS);
    static final MethodHandle POINTER_INTS = handle(NvmlFunction.SET_GPU_LOCKED_CLOCKS);
    static final MethodHandle POINTER_INT_POINTERS =
        handle(NvmlFunction.GET_SUPPORTED_GRAPHICS_CLOCKS);
  }

  private final Arena arena;
  private final Path file;

  /** By the function's ordinal; null where the library lacks it. */
  private final MemorySegment[] addresses;

  private NvmlCalls(Arena arena, Path file, SymbolLookup symbols) {
    this.arena = arena;
    this.file = file;
    NvmlFunction[] functions = NvmlFunction.values();
    addresses = new MemorySegment[functions.length];
    for (NvmlFunction function : functions) {
      addresses[function.ordinal()] = symbols.find(function.symbol()).orElse(null);
    }
  }

  @SuppressWarnings("restricted")
  private static MethodHandle handle(NvmlFunction function) {
    return Linker.nativeLinker().downcallHandle(function.descriptor());
  }

  /**
   * Loads the first of the {@link NvmlFile#candidates} that is an NVML.
   *
   * @param folder the only one to look in; without it, all
   * @throws NvmlException {@link NvmlReturn#LIBRARY_NOT_FOUND} if none is
   */
  static NvmlCalls load(Optional<Path> folder) throws NvmlException {
    String reason = "";
    for (Path file : NvmlFile.candidates(folder).toList()) {
      try {
        Optional<NvmlCalls> loaded = load(file);
        if (loaded.isPresent()) {
          return loaded.get();
        }
        reason += "; " + file + " lacks " + NvmlFunction.INIT.symbol();
      } catch (IllegalArgumentException e) {
        reason += "; " + file + " is no library for this machine";
      }
    }
    throw new NvmlException(
        NvmlFile.NAME
            + " cannot be loaded"
            + (reason.isEmpty()
                ? "; there is none" + folder.map(dir -> " in " + dir).orElse("")
                : reason)
            + "; install the NVIDIA driver, or name the folder of its libraries in LD_LIBRARY_PATH",
        NvmlReturn.LIBRARY_NOT_FOUND);
  }

  @SuppressWarnings("restricted")
  private static Optional<NvmlCalls> load(Path file) {
    Arena arena = Arena.ofShared();
    try {
      NvmlCalls calls = new NvmlCalls(arena, file, SymbolLookup.libraryLookup(file, arena));
      if (calls.has(NvmlFunction.INIT)) {
        return Optional.of(calls);
      }
      calls.close();
      return Optional.empty();
    } catch (IllegalArgumentException e) {
      arena.close();
      throw e;
    }
  }

  /** Where it was loaded from. */
  Path file() {
    return file;
  }

  boolean has(NvmlFunction function) {
    return addresses[function.ordinal()] != null;
  }

  /** Unloads the library, unless it refuses that. Nothing may be called any more. */
  @Override
  public void close() {
    arena.close();
  }

  private MemorySegment address(NvmlFunction function) throws NvmlException {
    MemorySegment address = addresses[function.ordinal()];
    if (address == null) {
      throw new NvmlException(function, NvmlReturn.FUNCTION_NOT_FOUND.code());
    }
    return address;
  }

  int call(NvmlFunction function) throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Often.NOTHING.invokeExact(address);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(NvmlFunction function, MemorySegment a) throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Often.POINTER.invokeExact(address, a);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(NvmlFunction function, MemorySegment a, int b) throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Often.POINTER_INT.invokeExact(address, a, b);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(NvmlFunction function, int a, MemorySegment b) throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Often.INT_POINTER.invokeExact(address, a, b);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(NvmlFunction function, MemorySegment a, MemorySegment b) throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Often.POINTERS.invokeExact(address, a, b);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(NvmlFunction function, MemorySegment a, MemorySegment b, int c) throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Often.POINTERS_INT.invokeExact(address, a, b, c);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(NvmlFunction function, MemorySegment a, int b, MemorySegment c) throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Often.POINTER_INT_POINTER.invokeExact(address, a, b, c);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(NvmlFunction function, MemorySegment a, int b, int c) throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Seldom.POINTER_INTS.invokeExact(address, a, b, c);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(NvmlFunction function, MemorySegment a, MemorySegment b, MemorySegment c)
      throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Seldom.POINTERS_3.invokeExact(address, a, b, c);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(NvmlFunction function, MemorySegment a, int b, MemorySegment c, MemorySegment d)
      throws NvmlException {
    MemorySegment address = address(function);
    try {
      return (int) Seldom.POINTER_INT_POINTERS.invokeExact(address, a, b, c, d);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** The handles declare Throwable; only what the linker itself finds wrong can come. */
  private static AssertionError unexpected(Throwable e) {
    switch (e) {
      case RuntimeException exception -> throw exception;
      case Error error -> throw error;
      default -> {
        return new AssertionError(e);
      }
    }
  }
}
