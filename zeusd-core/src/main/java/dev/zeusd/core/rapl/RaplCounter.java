package dev.zeusd.core.rapl;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import java.nio.file.Path;
import java.util.function.LongSupplier;

/**
 * The energy counter of one RAPL zone, made endless: it starts at the value of the first read, and
 * goes on where the hardware's counter wraps at {@code max_energy_range_uj}.
 *
 * <p>A value below the last one is a wrap if the energy that this implies can have been used since
 * the last read: at most {@link #HIGHEST_POWER_UJ_PER_NS} for that long, and {@link #SLACK_UJ}.
 * Otherwise the counter was reset, which adds nothing; counting goes on from the new value. What
 * cannot be told apart is a reset from shortly below the top, which passes for a wrap: then no more
 * energy is made up than could have been used. If there was no read for as long as a wrap takes at
 * the highest power, every drop passes for a wrap.
 *
 * <p>A rise is what was used, unless that is out of the question, {@link #IMPOSSIBLE_RISE} times as
 * much as for a wrap: then the counter was reset as well, or is another one now.
 */
final class RaplCounter implements EnergyCounter, AutoCloseable {
  /**
   * What no zone draws for long: 1 kW, which is 1 uJ/ns. The largest packages are specified for 500
   * W. The guard reads twice per wrap at this power, so that wraps are found up to 2 kW.
   */
  private static final long HIGHEST_POWER_UJ_PER_NS = 1;

  private static final long IMPOSSIBLE_RISE = 10;

  /**
   * 100 J: over a short time the power may seem higher than it is, since the hardware counts in
   * steps of 1 ms or more, and a busy machine may stop us between the counter and the clock.
   */
  private static final long SLACK_UJ = 100_000_000;

  /** Bounds of the guard's period; real zones, of 65 to 262 kJ, are within. */
  private static final long SHORTEST_SILENCE_NANOS = 10_000_000L;

  private static final long LONGEST_SILENCE_NANOS = 600_000_000_000L;

  /** The guard's period while the range is not known, since nothing could be read. */
  private static final long UNKNOWN_SILENCE_NANOS = 10_000_000_000L;

  private static final long UNKNOWN = -1;

  private final NumberFile energyFile;
  private final NumberFile rangeFile;
  private final LongSupplier nanoTime;

  private long rangeUj = UNKNOWN;
  private long lastRawUj = UNKNOWN;
  private long lastNanos;
  private long energyUj;
  private int resets;

  /** The counter of {@code zone}, a directory; nothing is read yet. */
  RaplCounter(Path zone, LongSupplier nanoTime) {
    this.energyFile = new NumberFile(zone.resolve("energy_uj"));
    this.rangeFile = new NumberFile(zone.resolve("max_energy_range_uj"));
    this.nanoTime = nanoTime;
  }

  @Override
  public EnergyReading read() {
    try {
      if (rangeUj == UNKNOWN) {
        readRange();
      }
      long rawUj = energyFile.read();
      long now = nanoTime.getAsLong();
      if (rawUj == lastRawUj && energyFile.isReplaced()) {
        // The counter that is open stands still, since it is not the one of this path any more.
        energyFile.close();
        readRange();
        rawUj = energyFile.read();
        now = nanoTime.getAsLong();
      }
      count(rawUj, now);
      return new EnergyReading(energyUj, now, resets);
    } catch (DeviceException e) {
      // Whatever comes back may be another driver's.
      rangeUj = UNKNOWN;
      throw e;
    }
  }

  private void readRange() {
    rangeUj = rangeFile.read();
    rangeFile.close();
  }

  private void count(long rawUj, long now) {
    long riseUj = rawUj - lastRawUj;
    long wrapUj = rangeUj + riseUj;
    long plausibleUj = (now - lastNanos) * HIGHEST_POWER_UJ_PER_NS + SLACK_UJ;
    if (lastRawUj == UNKNOWN) {
      energyUj = rawUj;
    } else if (riseUj >= 0 && riseUj / IMPOSSIBLE_RISE <= plausibleUj) {
      energyUj += riseUj;
    } else if (riseUj < 0 && lastRawUj <= rangeUj && wrapUj <= plausibleUj) {
      energyUj += wrapUj;
    } else {
      resets++;
    }
    lastRawUj = rawUj;
    lastNanos = now;
  }

  /** Half of the shortest time in which the counter can wrap. */
  @Override
  public long maxSilenceNanos() {
    if (rangeUj == UNKNOWN) {
      return UNKNOWN_SILENCE_NANOS;
    }
    long shortestWrapNanos = rangeUj / HIGHEST_POWER_UJ_PER_NS;
    return Math.clamp(shortestWrapNanos / 2, SHORTEST_SILENCE_NANOS, LONGEST_SILENCE_NANOS);
  }

  @Override
  public void close() {
    energyFile.close();
    rangeFile.close();
  }
}
