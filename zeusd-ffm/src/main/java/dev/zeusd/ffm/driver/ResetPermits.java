package dev.zeusd.ffm.driver;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * Says whether a library may be initialised anew for a device in trouble. As long as others are in
 * use and answer, they are not held up for it; else it may, ever more seldom, as long as that does
 * not help.
 *
 * <p>Thread-safe.
 */
public final class ResetPermits {
  /** A device that answered within this time is in use, or may be. */
  private static final long LATELY_NANOS = 10_000_000_000L;

  private final List<Device> devices = new CopyOnWriteArrayList<>();

  /** Guarded by this. */
  private final BackOff backOff = new BackOff(0, 1_000_000_000L, 30_000_000_000L);

  /** Of no devices yet; the first permit is given at once. */
  public ResetPermits() {}

  /** A device that has never answered. */
  public Device add() {
    Device device = new Device();
    devices.add(device);
    return device;
  }

  private synchronized boolean take() {
    if (backOff.isWaiting()) {
      return false;
    }
    backOff.failed();
    return true;
  }

  private synchronized void recovered() {
    backOff.reset();
  }

  /** A device of the library, and when it has answered; whoever calls it says so. */
  public final class Device {
    private volatile long answeredNanos;

    /** Whether it has never answered, or was gone the last time. */
    private volatile boolean gone = true;

    private Device() {}

    /** A call has worked. */
    public void answered() {
      answeredNanos = System.nanoTime();
      if (gone) {
        gone = false;
        recovered();
      }
    }

    /** The library does not know, or does not reach, it. */
    public void gone() {
      gone = true;
    }

    /** Whether the library may be initialised anew now; who is told so does it. */
    public boolean takePermit() {
      return devices.stream().noneMatch(other -> other != this && other.isInUse()) && take();
    }

    private boolean isInUse() {
      return !gone && System.nanoTime() - answeredNanos < LATELY_NANOS;
    }
  }
}
