package dev.zeusd.core.worker;

import java.time.Duration;

/**
 * A device some of whose commands wait for something else than its driver, such as for a program.
 * While one does, others may read the device; its other commands wait, in their order.
 */
public interface YieldsTurn {
  /**
   * Is told, once, by what to wait.
   *
   * @param whileOthersRead by what to wait for something else
   */
  void yieldTurnBy(Yielding whileOthersRead);

  /** Lets others read the device meanwhile. */
  @FunctionalInterface
  interface Yielding {
    /**
     * Runs some work, which must not call the device, on the thread that is calling a method of the
     * device.
     *
     * @param atMost how long it may take: whoever has given the command waits for it
     * @param work what to do
     */
    void run(Duration atMost, Runnable work);
  }
}
