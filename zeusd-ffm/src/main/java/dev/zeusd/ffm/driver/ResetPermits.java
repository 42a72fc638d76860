package dev.zeusd.ffm.driver;

/**
 * Says whether a library may be initialised anew for a device in trouble: ever more seldom, as long
 * as that does not help.
 *
 * <p>Thread-safe.
 */
public final class ResetPermits {
  // Guarded by this.
  private final BackOff backOff = new BackOff(0, 1_000_000_000L, 30_000_000_000L);

  /** The first is given at once. */
  public ResetPermits() {}

  /** Whether it may be done now; who is told so does it. */
  public synchronized boolean take() {
    if (backOff.isWaiting()) {
      return false;
    }
    backOff.failed();
    return true;
  }

  /** A device that was in trouble answers. */
  public synchronized void recovered() {
    backOff.reset();
  }
}
