package dev.zeusd.core.sampling;

/** One reading of one device. Immutable. */
public sealed interface PowerSample permits GpuPowerSample, CpuPowerSample {
  /** {@return the device's id} */
  int id();

  /** {@return when the hardware was read, in ms since 1970, by {@link TimestampClock#SYSTEM}} */
  long timestampMs();

  /**
   * {@return whether the other reading of the same device shows the same power}
   *
   * @param other a reading of the same device
   */
  boolean samePower(PowerSample other);
}
