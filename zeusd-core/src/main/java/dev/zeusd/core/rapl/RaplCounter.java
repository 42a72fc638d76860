package dev.zeusd.core.rapl;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.kernel.NumberFile;
import dev.zeusd.core.rapl.SavedCounters.Saved;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The energy counter of one RAPL zone, made endless: it starts at the value of the first read, and
 * goes on where the hardware's counter wraps at {@code max_energy_range_uj}.
 *
 * <p>A value below the last one is a wrap if the energy that this implies can have been used since
 * the last read: at most the highest power for that long, a hundredth of it while the machine
 * slept, and {@link #SLACK_UJ}. Otherwise the counter was reset, which adds nothing; counting goes
 * on from the new value. What cannot be told apart is a reset from shortly below the top, which
 * passes for a wrap: then no more energy is made up than could have been used. If there was no read
 * for as long as a wrap takes at the highest power, every drop passes for a wrap. But many machines
 * reset their counters in sleep: a drop over a sleep to what can have been used while awake is a
 * reset.
 *
 * <p>A rise is what was used, unless that is out of the question, {@link #IMPOSSIBLE_RISE} times as
 * much as for a wrap: then the counter was reset as well, or is another one now.
 *
 * <p>A counter whose energy was told goes on where an earlier process has left it, by the same
 * rules. It is saved before it is told for the first time, and after each wrap and reset, so that
 * what comes later can be worked out from the raw counter; and every few minutes, or after {@link
 * #UNSAVED_NANOS} at the highest power, since a counter that was not watched for as long as a wrap
 * takes, or that was reset meanwhile, could be anywhere. Then, and only then, {@link
 * #MAX_UNSAVED_NANOS} at that power is taken for what may have been told and not saved by a process
 * that was killed, so that energy rather leaps by that than goes back. Such a leap is told as not
 * counted, so that nobody takes it for energy that was used.
 *
 * <p>Where the range is unknown, or a value above it shows that it is wrong, a wrap counts as a
 * reset.
 */
final class RaplCounter implements EnergyCounter, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(RaplCounter.class.getName());

  private static final long IMPOSSIBLE_RISE = 10;

  /** 1 TJ, what 1 kW is in 30 years: a counter that begins with more shows nothing. */
  private static final long IMPOSSIBLE_UJ = 1_000_000_000_000_000_000L;

  private static final long LESS_POWER_ASLEEP = 100;

  /**
   * 100 J: over a short time the power may seem higher than it is, since the hardware counts in
   * steps of 1 ms or more, and a busy machine may stop us between the counter and the clock.
   */
  private static final long SLACK_UJ = 100_000_000;

  /** As much energy as the highest power uses in a second is told without being saved. */
  private static final long UNSAVED_NANOS = 1_000_000_000;

  /**
   * The same when saving takes its time: two seconds from one to the next, and some for the disk.
   */
  private static final long MAX_UNSAVED_NANOS = 4 * UNSAVED_NANOS;

  /** 65 kJ: what 32 bits hold in the smallest unit there is. */
  private static final long SMALLEST_RANGE_UJ = 65_000_000_000L;

  /** Bounds of the guard's period; real zones, of 65 to 262 kJ, are within. */
  private static final long SHORTEST_SILENCE_NANOS = 1_000_000_000L;

  private static final long LONGEST_SILENCE_NANOS = 600_000_000_000L;

  /** The guard's period while the range is not known, and how often that is tried again. */
  private static final long UNKNOWN_SILENCE_NANOS = 10_000_000_000L;

  private static final long UNKNOWN = -1;

  private final NumberFile energyFile;
  private final NumberFile rangeFile;
  private final long highestPowerUjPerNs;
  private final BootClock clock;
  private final SavedCounters savedCounters;

  /** Its name among them. */
  private final String zoneName;

  /** What is saved of this one. */
  private Optional<Saved> saved;

  private long rangeUj = UNKNOWN;
  private long rangeTriedNanos;
  private boolean rangeIsWanted = true;
  private boolean rangeFails;
  private long lastRawUj = UNKNOWN;
  private long lastNanos;
  private long lastSleptNanos;
  private long energyUj;

  /** How much of it was not counted, but may have been told by a process that was killed. */
  private long uncountedUj;

  private int resets;

  /**
   * The counter of {@code zone}, a directory; nothing is read yet.
   *
   * @param highestPowerUjPerNs what the zone does not draw for long, in kW. The guard reads twice
   *     per wrap at this power, so that wraps are found up to twice as much. The largest packages
   *     are specified for 500 W.
   */
  RaplCounter(Path zone, long highestPowerUjPerNs, BootClock clock, SavedCounters savedCounters) {
    this.energyFile = new NumberFile(zone.resolve("energy_uj"));
    this.rangeFile = new NumberFile(zone.resolve("max_energy_range_uj"));
    this.highestPowerUjPerNs = highestPowerUjPerNs;
    this.clock = clock;
    this.savedCounters = savedCounters;
    this.zoneName = realPath(zone).toString();
    this.saved = savedCounters.of(zoneName);
  }

  /** The same however somebody got there. */
  private static Path realPath(Path zone) {
    try {
      return zone.toRealPath();
    } catch (IOException e) {
      return zone.toAbsolutePath();
    }
  }

  @Override
  public boolean isContinued() {
    return saved.isPresent();
  }

  @Override
  public EnergyReading readToTell() {
    EnergyReading reading = read();
    Saved now = toSave(energyUj + MAX_UNSAVED_NANOS * highestPowerUjPerNs);
    boolean underivable =
        saved.isEmpty() || energyUj - lastRawUj != saved.get().energyUj() - saved.get().rawUj();
    if (underivable) {
      savedCounters.saveNow(zoneName, now);
      saved = Optional.of(now);
    } else if (energyUj - saved.get().energyUj() >= UNSAVED_NANOS * highestPowerUjPerNs
        || lastNanos - saved.get().bootNanos() >= maxSilenceNanos() / 2) {
      savedCounters.saveSoon(zoneName, now);
      saved = Optional.of(now);
    }
    return reading;
  }

  private Saved toSave(long toldUj) {
    return new Saved(energyUj, toldUj, lastRawUj, rangeUj, lastNanos, lastSleptNanos, uncountedUj);
  }

  @Override
  public EnergyReading read() {
    try {
      long rawUj = energyFile.read();
      long now = clock.nanos();
      if (rawUj == lastRawUj && energyFile.isReplaced()) {
        // The counter that is open stands still, since it is not the one of this path any more.
        energyFile.close();
        rangeIsWanted = true;
        rawUj = energyFile.read();
        now = clock.nanos();
      }
      if (rangeIsWanted || rangeUj == UNKNOWN && now - rangeTriedNanos > UNKNOWN_SILENCE_NANOS) {
        readRange(now);
      }
      if (lastRawUj == UNKNOWN && saved.isPresent()) {
        goOn(saved.get(), rawUj, now, clock.sleptNanos());
      } else {
        count(rawUj, now, clock.sleptNanos());
      }
      return new EnergyReading(energyUj, now, resets, uncountedUj);
    } catch (DeviceException e) {
      // Whatever comes back may be another driver's.
      rangeIsWanted = true;
      throw e;
    }
  }

  /** A counter without a range is worth reading; only its wraps are lost. */
  private void readRange(long now) {
    rangeIsWanted = false;
    rangeTriedNanos = now;
    rangeUj = UNKNOWN;
    try {
      long read = rangeFile.read();
      if (read == 0) {
        throw new DeviceException.Failed(rangeFile + " is 0");
      }
      rangeUj = read;
      if (rangeFails) {
        rangeFails = false;
        LOG.log(System.Logger.Level.INFO, "{0} can be used again", rangeFile);
      }
    } catch (DeviceException e) {
      if (!rangeFails) {
        rangeFails = true;
        LOG.log(
            System.Logger.Level.WARNING,
            "{0}: the counter beside it is read all the same, but whenever it wraps, the energy"
                + " since the read before is not counted",
            e.getMessage());
      }
    } finally {
      rangeFile.close();
    }
  }

  /** The first read of this process. */
  private void goOn(Saved before, long rawUj, long now, long sleptNanos) {
    energyUj = before.energyUj();
    uncountedUj = before.uncountedUj();
    lastRawUj = before.rawUj();
    lastNanos = before.bootNanos();
    lastSleptNanos = before.sleptNanos();
    long passedNanos = now - lastNanos;
    boolean sameCounter =
        before.rangeUj() == rangeUj || before.rangeUj() == UNKNOWN || rangeUj == UNKNOWN;
    long wrapsAtUj = rangeUj == UNKNOWN ? SMALLEST_RANGE_UJ : rangeUj;
    boolean watched =
        passedNanos >= 0 && passedNanos < wrapsAtUj / highestPowerUjPerNs && sameCounter;
    int resetsBefore = resets;
    if (sameCounter && passedNanos >= 0) {
      count(rawUj, now, sleptNanos);
    } else {
      keep(rawUj, now, sleptNanos);
    }
    if (!watched || resets != resetsBefore) {
      long leapUj = Math.max(0, before.toldUj() - energyUj);
      energyUj += leapUj;
      uncountedUj += leapUj;
      // It may have gone around meanwhile, and nobody knows how often.
      resets = resetsBefore + 1;
    }
  }

  private void count(long rawUj, long now, long sleptNanos) {
    long asleepNanos = sleptNanos - lastSleptNanos;
    long awakeNanos = now - lastNanos - asleepNanos;
    long awakeUj = awakeNanos * highestPowerUjPerNs + SLACK_UJ;
    long plausibleUj = awakeUj + asleepNanos / LESS_POWER_ASLEEP * highestPowerUjPerNs;
    long riseUj = rawUj - lastRawUj;
    long wrapUj = rangeUj + riseUj;
    boolean resetInSleep = asleepNanos > 0 && rawUj <= awakeUj;
    if (lastRawUj == UNKNOWN) {
      if (rawUj > IMPOSSIBLE_UJ) {
        throw new DeviceException.Failed(energyFile + " holds " + rawUj + " uJ, which cannot be");
      }
      energyUj = rawUj;
    } else if (riseUj >= 0 && riseUj / IMPOSSIBLE_RISE <= plausibleUj) {
      energyUj += riseUj;
    } else if (riseUj < 0 && lastRawUj <= rangeUj && wrapUj <= plausibleUj && !resetInSleep) {
      energyUj += wrapUj;
    } else {
      resets++;
    }
    keep(rawUj, now, sleptNanos);
  }

  private void keep(long rawUj, long now, long sleptNanos) {
    lastRawUj = rawUj;
    lastNanos = now;
    lastSleptNanos = sleptNanos;
  }

  /** Half of the shortest time in which the counter can wrap. */
  @Override
  public long maxSilenceNanos() {
    if (rangeIsWanted || lastRawUj > rangeUj) {
      return UNKNOWN_SILENCE_NANOS;
    }
    long shortestWrapNanos = rangeUj / highestPowerUjPerNs;
    return Math.clamp(shortestWrapNanos / 2, SHORTEST_SILENCE_NANOS, LONGEST_SILENCE_NANOS);
  }

  @Override
  public void close() {
    if (saved.isPresent() && lastRawUj != UNKNOWN) {
      savedCounters.saveSoon(zoneName, toSave(energyUj));
    }
    energyFile.close();
    rangeFile.close();
  }
}
