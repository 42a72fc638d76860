package dev.zeusd.core.hwmon;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.kernel.NumberFile;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * A counter that its driver has made endless: it falls only when the driver is loaded anew, which
 * adds nothing. For one thread at a time, but for {@link #resets}.
 */
final class EnergyFile implements EnergyCounter, AutoCloseable {
  private final Supplier<Optional<Path>> finder;
  private final BootClock clock;
  private Path file;
  private NumberFile microjoules;
  private long energyUj;
  private long lastRawUj = -1;
  private boolean hasRead;
  private volatile int resets;

  /** Of a file that holds an energy in uJ, and stays where it is; nothing is read yet. */
  EnergyFile(Path file, BootClock clock) {
    this(file, () -> Optional.of(file), clock);
  }

  /**
   * Of a file that may be elsewhere when its driver has been loaded anew.
   *
   * @param finder where it is now; asked when it cannot be read where it was
   */
  EnergyFile(Path file, Supplier<Optional<Path>> finder, BootClock clock) {
    this.finder = finder;
    this.clock = clock;
    this.file = file;
    this.microjoules = new NumberFile(file);
  }

  @Override
  public EnergyReading read() {
    NumberFile before = microjoules;
    long rawUj = readRawUj();
    long now = clock.nanos();
    // What it counts elsewhere has nothing to do with what it showed before.
    boolean isReset = microjoules != before || hasRead && rawUj < lastRawUj;
    if (isReset) {
      resets = resets + 1;
    }
    if (!hasRead) {
      energyUj = rawUj;
    } else if (!isReset) {
      energyUj += rawUj - lastRawUj;
    }
    hasRead = true;
    lastRawUj = rawUj;
    return new EnergyReading(energyUj, now, resets);
  }

  private long readRawUj() {
    try {
      return microjoules.readAfter(lastRawUj);
    } catch (DeviceException e) {
      Optional<Path> found = finder.get();
      if (found.isEmpty() || found.get().equals(file)) {
        throw e;
      }
      microjoules.close();
      file = found.get();
      microjoules = new NumberFile(file);
      return microjoules.read();
    }
  }

  /** How often the counter has fallen so far; from any thread. */
  int resets() {
    return resets;
  }

  @Override
  public long maxSilenceNanos() {
    return ANY_SILENCE;
  }

  /** Where it is. */
  @Override
  public String toString() {
    return file.toString();
  }

  @Override
  public void close() {
    microjoules.close();
  }
}
