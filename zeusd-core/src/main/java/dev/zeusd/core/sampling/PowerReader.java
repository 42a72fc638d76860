package dev.zeusd.core.sampling;

import java.util.function.LongSupplier;

/**
 * Turns reads of one device into samples, on the device's thread.
 *
 * @param <D> the device
 * @param <S> its samples
 */
interface PowerReader<D, S> {
  /**
   * Reads the hardware.
   *
   * @param timestampMs gives the time for the sample; asked right at the read
   * @return the sample, or null where power is a difference and this was the first of two reads
   */
  S read(D device, LongSupplier timestampMs);
}
