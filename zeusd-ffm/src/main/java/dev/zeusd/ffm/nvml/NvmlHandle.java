package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.driver.CallGate;
import dev.zeusd.ffm.driver.ResetPermits;
import java.lang.foreign.MemorySegment;

/**
 * How one GPU is called: with a handle that is a good one, whatever becomes of the library. After
 * NVML was initialised anew, such as after a reload of the driver, the GPU is looked for where it
 * was, and then everywhere, because indices may have changed.
 *
 * <p>For one thread at a time.
 */
final class NvmlHandle {
  private final NvmlLibrary library;
  private final NvmlPlace place;
  private final ResetPermits.Device known;
  private final CallGate.Caller caller = new CallGate.Caller();

  private MemorySegment handle = MemorySegment.NULL;
  private int handleGeneration = -1;
  private int calledGeneration;

  NvmlHandle(NvmlLibrary library, NvmlPlace place, ResetPermits.Device known) {
    this.library = library;
    this.place = place;
    this.known = known;
  }

  /** A call with the device's handle; gives NVML's result code. */
  interface Call {
    int run(NvmlCalls calls, MemorySegment device) throws NvmlException;
  }

  /** Makes a call. */
  void run(NvmlFunction function, Call call) throws NvmlException {
    try {
      runInside(function, call);
    } catch (NvmlException e) {
      // What came of a handle that was outdated meanwhile says nothing about the device.
      if (library.generation() == calledGeneration) {
        if (!isGone(e.result())) {
          throw e;
        }
        known.gone();
        library.trouble(known, calledGeneration, e.result());
        // Also where nothing was reset: NVML looks for the GPU when its handle is got.
        handleGeneration = -1;
      }
      runInside(function, call);
    }
  }

  private void runInside(NvmlFunction function, Call call) throws NvmlException {
    NvmlCalls calls = library.session().enter(caller);
    try {
      calledGeneration = library.generation();
      if (handleGeneration != calledGeneration) {
        handle = place.find(calls, calledGeneration);
        handleGeneration = calledGeneration;
      }
      function.check(call.run(calls, handle));
    } finally {
      library.session().leave(caller);
    }
    known.answered();
  }

  /** Whether NVML does not know, or does not reach, the device with this result. */
  static boolean isGone(NvmlReturn result) {
    return switch (result) {
      case UNINITIALIZED, DRIVER_NOT_LOADED, GPU_IS_LOST, GPU_NOT_FOUND, LIB_RM_VERSION_MISMATCH ->
          true;
      default -> false;
    };
  }

  /** Has the handle got anew for the next call. */
  void renew() {
    handleGeneration = -1;
  }
}
