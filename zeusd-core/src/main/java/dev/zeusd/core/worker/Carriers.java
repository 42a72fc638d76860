package dev.zeusd.core.worker;

import java.util.concurrent.Semaphore;

/**
 * The threads of the system that carry virtual ones. A call into a driver pins the one that carries
 * its caller, and should it hang, at least one of them is left for everybody else.
 *
 * <p>Thread-safe.
 */
public final class Carriers {
  /** As many as there are unless the JVM is told otherwise. */
  public static final Carriers OF_THIS_MACHINE =
      new Carriers(Runtime.getRuntime().availableProcessors());

  private final Semaphore toPin;

  /**
   * So many of them; with one, virtual threads call no device by themselves.
   *
   * @param count how many there are
   */
  public Carriers(int count) {
    toPin = new Semaphore(count - 1);
  }

  /** Whether the calling thread may be pinned; {@link #unpin} has to follow. */
  boolean tryPin() {
    return !Thread.currentThread().isVirtual() || toPin.tryAcquire();
  }

  void unpin() {
    if (Thread.currentThread().isVirtual()) {
      toPin.release();
    }
  }
}
