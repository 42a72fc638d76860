package dev.zeusd.core.driver;

import dev.zeusd.ffm.driver.DriverException;

/**
 * A call of a driver's library that gives a value.
 *
 * @param <T> the value
 */
@FunctionalInterface
public interface Question<T> {
  /** Asks. */
  T ask() throws DriverException;
}
