package dev.zeusd.core.hwmon;

import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.rapl.BootClock;
import dev.zeusd.core.rapl.NumberFile;
import java.nio.file.Path;

/**
 * A counter that its driver has made endless: it falls only when the driver is loaded anew, which
 * adds nothing.
 */
final class EnergyFile implements EnergyCounter, AutoCloseable {
  private final NumberFile microjoules;
  private final BootClock clock;
  private long energyUj;
  private long lastRawUj = -1;
  private boolean hasRead;
  private int resets;

  /** Of a file that holds an energy in uJ; nothing is read yet. */
  EnergyFile(Path file, BootClock clock) {
    this.microjoules = new NumberFile(file);
    this.clock = clock;
  }

  @Override
  public EnergyReading read() {
    long rawUj = microjoules.readAfter(lastRawUj);
    long now = clock.nanos();
    if (!hasRead) {
      energyUj = rawUj;
    } else if (rawUj >= lastRawUj) {
      energyUj += rawUj - lastRawUj;
    } else {
      resets++;
    }
    hasRead = true;
    lastRawUj = rawUj;
    return new EnergyReading(energyUj, now, resets);
  }

  @Override
  public long maxSilenceNanos() {
    return ANY_SILENCE;
  }

  @Override
  public void close() {
    microjoules.close();
  }
}
