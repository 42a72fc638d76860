package dev.zeusd.core.device;

/**
 * A counter of the energy that a part of a CPU uses.
 *
 * <p>Not thread-safe: all calls come from the CPU's {@link dev.zeusd.core.worker.DeviceWorker}.
 */
public interface EnergyCounter {
  /** Answer of {@link #maxSilenceNanos}: reads may be any time apart. */
  long ANY_SILENCE = Long.MAX_VALUE;

  /**
   * Reads the hardware.
   *
   * @return what the hardware shows
   * @throws DeviceException if it cannot be read; the next read tries anew
   */
  EnergyReading read();

  /**
   * As {@link #read}, for a value that somebody is told. Where the counter has a place to save it,
   * it is never less, even after this process was killed and another one counts, until the machine
   * is booted anew.
   *
   * @return what the hardware shows
   */
  default EnergyReading readToTell() {
    return read();
  }

  /**
   * {@return whether an earlier process has told this counter, so that it has to be watched for
   * wraps}
   */
  default boolean isContinued() {
    return false;
  }

  /**
   * {@return how far apart two reads may be, in ns, so that no wrap is missed; may change with a
   * read} No hardware is asked.
   */
  long maxSilenceNanos();
}
