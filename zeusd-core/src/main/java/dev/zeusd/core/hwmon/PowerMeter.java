package dev.zeusd.core.hwmon;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.kernel.NumberFile;
import java.nio.file.Path;

/**
 * Energy where the hardware tells power only: what it told times the time since the read before.
 * Once somebody has asked for energy it is read every second; what was used while nobody read for
 * longer than {@link #MAX_GAP_NANOS} is not known, and not counted.
 */
final class PowerMeter implements EnergyCounter, AutoCloseable {
  private static final long MAX_SILENCE_NANOS = 1_000_000_000L;
  private static final long MAX_GAP_NANOS = 10_000_000_000L;
  private static final double NANOS_PER_SECOND = 1e9;

  /** 100 kW, which no CPU draws, nor a module: a sensor that tells more tells nothing. */
  private static final long IMPOSSIBLE_UW = 100_000_000_000L;

  private final NumberFile microwatts;
  private final BootClock clock;
  private double energyUj;
  private long lastPowerUw = -1;
  private long lastNanos;
  private boolean hasRead;
  private int resets;

  /** Of a file that holds a power in uW; nothing is read yet. */
  PowerMeter(Path file, BootClock clock) {
    this.microwatts = new NumberFile(file);
    this.clock = clock;
  }

  @Override
  public EnergyReading read() {
    long powerUw = microwatts.readAfter(lastPowerUw);
    if (powerUw >= IMPOSSIBLE_UW) {
      throw new DeviceException.Failed(microwatts + " holds " + powerUw + " uW, which cannot be");
    }
    lastPowerUw = powerUw;
    long now = clock.nanos();
    if (hasRead) {
      long gapNanos = now - lastNanos;
      if (gapNanos >= 0 && gapNanos <= MAX_GAP_NANOS) {
        energyUj += powerUw * (gapNanos / NANOS_PER_SECOND);
      } else {
        resets++;
      }
    }
    hasRead = true;
    lastNanos = now;
    return new EnergyReading(Math.round(energyUj), now, resets);
  }

  @Override
  public long maxSilenceNanos() {
    return MAX_SILENCE_NANOS;
  }

  @Override
  public void close() {
    microwatts.close();
  }
}
