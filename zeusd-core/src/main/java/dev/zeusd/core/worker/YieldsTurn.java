package dev.zeusd.core.worker;

import java.util.function.Consumer;

/**
 * A device some of whose commands wait for something else than its driver, such as for a program.
 * While one does, others may read the device; its other commands wait, in their order.
 */
public interface YieldsTurn {
  /**
   * Is told, once, by what to wait.
   *
   * @param whileOthersRead runs some work, which must not call the device, on the thread that is
   *     calling a method of the device
   */
  void yieldTurnBy(Consumer<Runnable> whileOthersRead);
}
