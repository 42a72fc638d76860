package dev.zeusd.core.device;

import java.util.OptionalLong;

/**
 * One read of an {@link EnergyCounter}.
 *
 * @param energyUj energy counted so far, in uJ, wraps included
 * @param readNanos when the counter was read, in ns of a clock that never goes back, and that goes
 *     on while the machine sleeps
 * @param resets how often the counter changed as no use of energy explains; what was used around
 *     that moment is not in {@code energyUj}
 * @param uncountedUj how much of {@code energyUj} nobody has counted, in uJ: it was added so that
 *     energy does not fall, since a process that was killed may have told that much. It never falls
 */
public record EnergyReading(long energyUj, long readNanos, int resets, long uncountedUj) {
  private static final double MW_PER_UJ_PER_NS = 1e6;

  /**
   * Of a counter all of whose energy was counted.
   *
   * @param energyUj energy counted so far, in uJ
   * @param readNanos when the counter was read, as above
   * @param resets how often the counter was reset so far
   */
  public EnergyReading(long energyUj, long readNanos, int resets) {
    this(energyUj, readNanos, resets, 0);
  }

  /** {@return the energy that was counted, in uJ, for sums: what was used, and no more} */
  public long countedUj() {
    return energyUj - uncountedUj;
  }

  /**
   * {@return mean power in mW since an earlier read of the same counter: the energy used over the
   * time that really passed} Empty where that is unknown: no time passed, or the counter was reset.
   *
   * @param earlier an earlier reading of the same counter
   */
  public OptionalLong powerMwSince(EnergyReading earlier) {
    long elapsedNanos = readNanos - earlier.readNanos;
    if (elapsedNanos <= 0 || resets != earlier.resets) {
      return OptionalLong.empty();
    }
    double usedUj = energyUj - earlier.energyUj;
    return OptionalLong.of(Math.round(usedUj * MW_PER_UJ_PER_NS / elapsedNanos));
  }
}
