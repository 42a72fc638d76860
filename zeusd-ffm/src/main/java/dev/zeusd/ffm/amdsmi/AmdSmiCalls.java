package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.amdsmi.AmdSmiFile.Candidate;
import java.lang.foreign.Arena;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;

/**
 * The loaded library: its functions, looked up in this file and in no other, and the way to call
 * them. A function that it lacks is an {@link AmdSmiException}. It stays loaded for the life of the
 * process: a C++ library that is unloaded leaves threads and destructors behind.
 *
 * <p>Thread-safe, as far as the library is.
 */
final class AmdSmiCalls {
  /** One for each form of a function; the function's address is the first argument. */
  private static final class Forms {
    static final MethodHandle NOTHING = handle(AmdSmiFunction.SHUT_DOWN);
    static final MethodHandle LONG = handle(AmdSmiFunction.INIT);
    static final MethodHandle POINTER = handle(AmdSmiFunction.GET_LIB_VERSION);
    static final MethodHandle POINTERS = handle(AmdSmiFunction.GET_POWER);
    static final MethodHandle POINTERS_3 = handle(AmdSmiFunction.GET_PROCESSORS);
    static final MethodHandle POINTERS_4 = handle(AmdSmiFunction.GET_ENERGY);
    static final MethodHandle POINTER_INT = handle(AmdSmiFunction.SET_PERF_LEVEL);
    static final MethodHandle POINTER_INT_POINTER = handle(AmdSmiFunction.GET_CLOCK);
    static final MethodHandle POINTER_INT_LONG = handle(AmdSmiFunction.SET_POWER_CAP);
    static final MethodHandle POINTER_INTS_POINTER = handle(AmdSmiFunction.GET_TEMPERATURE);
    static final MethodHandle POINTER_INTS_LONG = handle(AmdSmiFunction.SET_CLOCK_LIMIT);
  }

  private final Candidate from;

  /** By the function's ordinal; null where the library lacks it. */
  private final MemorySegment[] addresses = new MemorySegment[AmdSmiFunction.values().length];

  private AmdSmiCalls(Candidate from, SymbolLookup symbols) {
    this.from = from;
    for (AmdSmiFunction function : AmdSmiFunction.values()) {
      addresses[function.ordinal()] = symbols.find(function.symbol()).orElse(null);
    }
  }

  @SuppressWarnings("restricted")
  private static MethodHandle handle(AmdSmiFunction function) {
    return Linker.nativeLinker().downcallHandle(function.descriptor());
  }

  /**
   * Loads the first that is an AMD SMI, and that no stranger could have put there.
   *
   * @throws AmdSmiException {@link AmdSmiStatus#LIBRARY_NOT_FOUND} if none is
   */
  @SuppressWarnings("restricted")
  static AmdSmiCalls load(List<Candidate> candidates) throws AmdSmiException {
    StringBuilder reasons = new StringBuilder();
    for (Candidate candidate : candidates) {
      Path file = candidate.file();
      String reason = AmdSmiFile.stranger(file).map(who -> " is not trusted: " + who).orElse("");
      if (reason.isEmpty()) {
        try {
          AmdSmiCalls calls =
              new AmdSmiCalls(candidate, SymbolLookup.libraryLookup(file, Arena.global()));
          if (calls.addresses[AmdSmiFunction.INIT.ordinal()] != null) {
            return calls;
          }
          reason = " lacks " + AmdSmiFunction.INIT.symbol();
        } catch (IllegalArgumentException e) {
          reason = " is no library for this machine, or lacks another one";
        }
      }
      reasons.append("; ").append(file).append(reason);
    }
    throw new AmdSmiException(
        "AMD SMI cannot be loaded"
            + (reasons.isEmpty() ? "; there is none" : reasons)
            + "; install ROCm 6.3 or newer, or name the folder of libamd_smi.so.26, .25 or .24 in"
            + " AMDSMI_LIB_DIR",
        AmdSmiStatus.LIBRARY_NOT_FOUND);
  }

  AmdSmiEdition edition() {
    return from.edition();
  }

  Path file() {
    return from.file();
  }

  private MemorySegment address(AmdSmiFunction function) throws AmdSmiException {
    MemorySegment address = addresses[function.ordinal()];
    if (address == null) {
      throw new AmdSmiException(function, AmdSmiStatus.FAIL_LOAD_SYMBOL.code());
    }
    return address;
  }

  int call(AmdSmiFunction function) throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.NOTHING.invokeExact(address);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(AmdSmiFunction function, long a) throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.LONG.invokeExact(address, a);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(AmdSmiFunction function, MemorySegment a) throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.POINTER.invokeExact(address, a);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(AmdSmiFunction function, MemorySegment a, MemorySegment b) throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.POINTERS.invokeExact(address, a, b);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(AmdSmiFunction function, MemorySegment a, MemorySegment b, MemorySegment c)
      throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.POINTERS_3.invokeExact(address, a, b, c);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(
      AmdSmiFunction function, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment d)
      throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.POINTERS_4.invokeExact(address, a, b, c, d);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(AmdSmiFunction function, MemorySegment a, int b) throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.POINTER_INT.invokeExact(address, a, b);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(AmdSmiFunction function, MemorySegment a, int b, MemorySegment c)
      throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.POINTER_INT_POINTER.invokeExact(address, a, b, c);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(AmdSmiFunction function, MemorySegment a, int b, long c) throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.POINTER_INT_LONG.invokeExact(address, a, b, c);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(AmdSmiFunction function, MemorySegment a, int b, int c, MemorySegment d)
      throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.POINTER_INTS_POINTER.invokeExact(address, a, b, c, d);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  int call(AmdSmiFunction function, MemorySegment a, int b, int c, long d) throws AmdSmiException {
    MemorySegment address = address(function);
    try {
      return (int) Forms.POINTER_INTS_LONG.invokeExact(address, a, b, c, d);
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
