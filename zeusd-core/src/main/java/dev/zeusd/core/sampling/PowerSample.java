package dev.zeusd.core.sampling;

/** One reading of one device. Immutable. */
public sealed interface PowerSample permits GpuPowerSample, CpuPowerSample {
  /** The device's id. */
  int id();

  /** When the hardware was read, in ms since 1970, by {@link TimestampClock#SYSTEM}. */
  long timestampMs();

  /** Whether the other reading of the same device shows the same power. */
  boolean samePower(PowerSample other);
}
