package dev.zeusd.core;

/**
 * Something to do whose energy is measured.
 *
 * @param <E> what it may throw
 */
@FunctionalInterface
public interface Work<E extends Exception> {
  /**
   * Does it.
   *
   * @throws E if it cannot be done; passed on to whoever has it measured
   */
  void run() throws E;
}
