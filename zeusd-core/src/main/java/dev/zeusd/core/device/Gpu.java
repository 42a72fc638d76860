package dev.zeusd.core.device;

/**
 * One GPU. Every method but {@link #info} asks the hardware, may take long, and throws {@link
 * DeviceException}.
 *
 * <p>Not thread-safe: all calls but {@link #info} come from the GPU's {@link
 * dev.zeusd.core.sampling.DeviceWorker}.
 */
public interface Gpu {
  /**
   * What the GPU is, without asking the hardware; from any thread. Until the GPU has said so, by
   * {@link #identify} or a later call, no more than its id is known.
   */
  GpuInfo info();

  /** Asks the hardware what the GPU is. A failure is logged only: it may tell later. */
  default void identify() {}

  /** Power drawn now, in mW: the instant reading where the GPU has one. */
  long powerMw();

  /** Energy since the driver was loaded, in mJ, as unsigned 64 bits. */
  long energyMj();

  /** The power limit that is set, in mW. */
  long powerLimitMw();

  /** The limits that can be set. */
  PowerLimitConstraints powerLimitConstraints();

  /** Whether persistence mode is on. */
  boolean persistenceMode();

  /** Sets the power limit, in mW. Needs root. */
  void setPowerLimit(long powerLimitMw);

  /** Sets the persistence mode. Needs root. */
  void setPersistenceMode(boolean enabled);

  /** Locks the GPU's clock to a range, in MHz. Needs root. */
  void setGpuLockedClocks(long minClockMhz, long maxClockMhz);

  /** Locks the memory's clock to a range, in MHz. Needs root. */
  void setMemLockedClocks(long minClockMhz, long maxClockMhz);

  /** Gives the GPU's clock back to the driver. Needs root. */
  void resetGpuLockedClocks();

  /** Gives the memory's clock back to the driver. Needs root. */
  void resetMemLockedClocks();
}
