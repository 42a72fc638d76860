package dev.zeusd.core;

/**
 * Something to do whose energy is measured.
 *
 * @param <E> what it may throw
 */
@FunctionalInterface
public interface Work<E extends Exception> {
  /** Does it. */
  void run() throws E;
}
