package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.driver.CallGate;
import dev.zeusd.ffm.driver.DriverException.Kind;
import dev.zeusd.ffm.driver.ResetPermits;
import java.lang.foreign.MemorySegment;

/**
 * How one GPU is called: with a handle that is a good one, whatever becomes of the library. For one
 * thread at a time.
 */
final class AmdSmiHandle {
  private final AmdSmiLibrary library;
  private final AmdSmiPlace place;
  private final ResetPermits.Device known;
  private final CallGate.Caller caller = new CallGate.Caller();

  private MemorySegment handle = MemorySegment.NULL;
  private int handleGeneration = -1;

  AmdSmiHandle(AmdSmiLibrary library, AmdSmiPlace place, ResetPermits.Device known) {
    this.library = library;
    this.place = place;
    this.known = known;
  }

  /** A call with the GPU's handle; gives AMD SMI's status. */
  interface Call {
    int run(AmdSmiCalls calls, MemorySegment gpu) throws AmdSmiException;
  }

  /** Makes a call; whatever becomes of the library, the handle is a good one. */
  void run(AmdSmiFunction function, Call call) throws AmdSmiException {
    int generation = library.generation();
    try {
      runInside(function, call);
    } catch (AmdSmiException e) {
      // What came of a handle that was outdated meanwhile says nothing about the GPU.
      if (library.generation() == generation) {
        if (e.kind() != Kind.GONE) {
          throw e;
        }
        known.gone();
        library.trouble(known, generation, e.status());
        handleGeneration = -1;
      }
      runInside(function, call);
    }
  }

  private void runInside(AmdSmiFunction function, Call call) throws AmdSmiException {
    AmdSmiSession session = library.session();
    AmdSmiCalls calls = session.enter(caller);
    try {
      OneAtATime turns = session.turns();
      turns.enter(function);
      try {
        function.check(call.run(calls, currentHandle()));
      } finally {
        turns.leave();
      }
    } finally {
      session.leave(caller);
    }
    known.answered();
  }

  private MemorySegment currentHandle() throws AmdSmiException {
    int generation = library.generation();
    if (handleGeneration != generation) {
      handle =
          library
              .session()
              .listing()
              .find(place)
              .map(AmdSmiListing.Listed::handle)
              .orElseThrow(
                  () ->
                      new AmdSmiException(
                          "the driver no longer lists the GPU at "
                              + place
                              + "; amd-smi list shows those that it does",
                          AmdSmiStatus.NOT_FOUND));
      handleGeneration = generation;
    }
    return handle;
  }
}
