package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.driver.CallGate;
import dev.zeusd.ffm.driver.DriverException.Kind;
import java.lang.foreign.MemorySegment;

/**
 * How one GPU is called: with a handle that is a good one, whatever becomes of the library. For one
 * thread at a time.
 */
final class AmdSmiHandle {
  private final AmdSmiLibrary library;
  private final AmdSmiPlace place;
  private final CallGate.Caller caller = new CallGate.Caller();

  private MemorySegment handle = MemorySegment.NULL;
  private int handleGeneration = -1;

  private volatile long answeredNanos;

  /** Whether it has never answered, or was gone the last time. */
  private volatile boolean gone = true;

  AmdSmiHandle(AmdSmiLibrary library, AmdSmiPlace place) {
    this.library = library;
    this.place = place;
  }

  /** A call with the GPU's handle; gives AMD SMI's status. */
  interface Call {
    int run(AmdSmiCalls calls, MemorySegment gpu) throws AmdSmiException;
  }

  /** Makes a call; whatever becomes of the library, the handle is a good one. */
  void run(AmdSmiFunction function, Call call) throws AmdSmiException {
    int generation = library.initialisations();
    try {
      runInside(function, call);
    } catch (AmdSmiException e) {
      // What came of a handle that was outdated meanwhile says nothing about the GPU.
      if (library.initialisations() == generation) {
        if (e.kind() != Kind.GONE) {
          throw e;
        }
        gone = true;
        library.trouble(this, generation, e.status());
        handleGeneration = -1;
      }
      runInside(function, call);
    }
  }

  private void runInside(AmdSmiFunction function, Call call) throws AmdSmiException {
    AmdSmiCalls calls = library.enter(caller);
    try {
      OneAtATime turns = library.turns();
      turns.enter(function);
      try {
        function.check(call.run(calls, currentHandle()));
      } finally {
        turns.leave();
      }
    } finally {
      library.leave(caller);
    }
    answeredNanos = System.nanoTime();
    if (gone) {
      gone = false;
      library.recovered();
    }
  }

  private MemorySegment currentHandle() throws AmdSmiException {
    int generation = library.initialisations();
    if (handleGeneration != generation) {
      handle =
          library
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

  /** Whether its last call worked, not longer ago than {@code nanos}. From any thread. */
  boolean hasAnswered(long nanos) {
    return !gone && System.nanoTime() - answeredNanos < nanos;
  }
}
