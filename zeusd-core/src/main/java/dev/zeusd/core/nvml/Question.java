package dev.zeusd.core.nvml;

import dev.zeusd.ffm.nvml.NvmlException;

/**
 * A call of NVML that gives a value.
 *
 * @param <T> the value
 */
@FunctionalInterface
interface Question<T> {
  T ask() throws NvmlException;
}
