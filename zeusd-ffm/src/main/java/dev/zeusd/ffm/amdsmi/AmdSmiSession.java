package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.amdsmi.AmdSmiEdition.Version;
import dev.zeusd.ffm.amdsmi.raw.AmdSmi;
import dev.zeusd.ffm.driver.DriverSession;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** AMD SMI as it is initialised, and what it has said of itself and of its GPUs then. */
final class AmdSmiSession extends DriverSession<AmdSmiCalls, AmdSmiException> {
  /** Room for the version struct of any edition. */
  private static final long VERSION_ROOM = 64;

  private final AmdSmiCalls calls;
  private volatile Version version = new Version(0, 0, 0, 0);
  private volatile AmdSmiListing listing = AmdSmiListing.empty();
  private volatile OneAtATime turns = new OneAtATime(HANG_NANOS, true);

  /** Of a library that is loaded, and stays so: it has threads of its own. */
  AmdSmiSession(AmdSmiCalls calls) {
    super("AMD SMI");
    this.calls = calls;
  }

  @Override
  protected AmdSmiCalls initialise(boolean isQuiet) throws AmdSmiException {
    AmdSmiFunction.INIT.check(
        calls.call(AmdSmiFunction.INIT, (long) AmdSmi.AMDSMI_INIT_AMD_GPUS()));
    try {
      version = readVersion();
      turns = new OneAtATime(HANG_NANOS, !calls.edition().isParallel(version));
      listing = AmdSmiListing.read(calls);
      return calls;
    } catch (AmdSmiException e) {
      shutDown();
      throw e;
    }
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

  @Override
  protected void shutDown() {
    try {
      calls.call(AmdSmiFunction.SHUT_DOWN);
    } catch (AmdSmiException e) {
      // It lacks the function: then there is no more to be done.
    }
  }

  @Override
  protected void unload() {}

  @Override
  protected AmdSmiException beingOpened(String message) {
    return new AmdSmiException(message, AmdSmiStatus.TIMEOUT);
  }

  @Override
  protected AmdSmiException closed(String message) {
    return new AmdSmiException(message, AmdSmiStatus.NOT_INIT);
  }

  // ---- What it has said ----

  /** Version and file, for people. */
  String description() {
    return version + " from " + calls.file() + (turns.isNeeded() ? ", one call at a time" : "");
  }

  AmdSmiEdition edition() {
    return calls.edition();
  }

  AmdSmiListing listing() {
    return listing;
  }

  OneAtATime turns() {
    return turns;
  }
}
