package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.amdsmi.AmdSmiFile.Candidate;
import dev.zeusd.ffm.driver.ResetPermits;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * The AMD SMI of this process: initialised, let go of, or failing.
 *
 * <p>Thread-safe. Calls of different GPUs run side by side where the library allows that; when it
 * is initialised or shut down there is a moment without calls.
 */
public final class AmdSmiLibrary implements AutoCloseable {
  private final AmdSmiSession session;

  /** For trouble of single GPUs. */
  private final ResetPermits resets = new ResetPermits();

  private AmdSmiLibrary(List<Candidate> candidates) throws AmdSmiException {
    session = new AmdSmiSession(AmdSmiCalls.load(candidates));
    session.open();
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

  /** Version and file, for people. */
  public String description() {
    return session.description();
  }

  /** Where GPUs were when AMD SMI was initialised the last time. */
  public List<AmdSmiPlace> places() {
    return session.listing().places();
  }

  /** The GPU at this place. It need not answer now. */
  public AmdSmiDevice device(AmdSmiPlace place) {
    return new AmdSmiDevice(session, place, new AmdSmiHandle(this, place, resets.add()));
  }

  /** Which GPUs AMD SMI lists can change only when this does: it grows when that is initialised. */
  public int generation() {
    return session.generation();
  }

  AmdSmiSession session() {
    return session;
  }

  // ---- Letting go ----

  /**
   * Shuts AMD SMI down, so that the driver can be unloaded. The next call opens it again.
   *
   * @return false if a call hangs, or one has begun within {@code atLeastNanos}
   */
  public boolean release(long atLeastNanos) {
    return session.release(atLeastNanos);
  }

  /** How long ago the last call began. */
  public long quietNanos() {
    return session.quietNanos();
  }

  /** Whether it is initialised now. */
  public boolean isOpen() {
    return session.isOpen();
  }

  /** Shuts it down, once, as {@link dev.zeusd.ffm.driver.CallGate#shutDown} does. */
  @Override
  public void close() {
    session.close();
  }

  // ---- Trouble ----

  /**
   * Told by a GPU that AMD SMI does not know, or does not reach, any more. It is initialised anew
   * if that is so for all, or if nobody would notice.
   */
  void trouble(ResetPermits.Device device, int seenGeneration, AmdSmiStatus seen)
      throws AmdSmiException {
    boolean general = seen == AmdSmiStatus.NOT_INIT || seen == AmdSmiStatus.DRIVER_NOT_LOADED;
    if (session.isOpen() && (general || device.takePermit())) {
      // Also where it says that it is not initialised: a call that hangs forbids that, too.
      session.reset(seenGeneration, true);
    }
  }
}
