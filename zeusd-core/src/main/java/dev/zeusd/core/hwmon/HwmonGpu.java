package dev.zeusd.core.hwmon;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.locks.LockSupport;

/** A GPU of Intel's, of which the kernel tells the energy. For one thread at a time. */
final class HwmonGpu implements Gpu, AutoCloseable {
  /** Over less, the counter's steps show; over more, it is not the power of now. */
  private static final long MIN_NANOS = 5_000_000L;

  private static final long MAX_NANOS = 2_000_000_000L;

  /** A reload of the driver costs one. */
  private static final int MAX_TRIES = 5;

  private static final long UJ_PER_MJ = 1000;

  private final GpuInfo info;
  private final String driver;
  private final EnergyFile energy;
  private Optional<EnergyReading> last = Optional.empty();
  private long lastPowerMw;

  /** A GPU with this counter; {@code driver} is the name of its kernel module. */
  HwmonGpu(GpuInfo info, String driver, EnergyFile energy) {
    this.info = info;
    this.driver = driver;
    this.energy = energy;
  }

  @Override
  public GpuInfo info() {
    return info;
  }

  @Override
  public Optional<String> vendor() {
    return Optional.of("intel");
  }

  @Override
  public Optional<GpuDriver> driver() {
    return Optional.of(new GpuDriver("intel", ""));
  }

  @Override
  public int driverGeneration() {
    return energy.resets();
  }

  @Override
  public Optional<String> whyNeverLent() {
    return Optional.of(
        "this GPU has no settings to lend: the kernel's sensors tell its energy, and no more");
  }

  /** Mean power since the read before; without one that is near enough, this takes 20 ms. */
  @Override
  public long powerMw() {
    EnergyReading now = read();
    long sinceNanos =
        last.map(before -> now.readNanos() - before.readNanos()).orElse(Long.MAX_VALUE);
    if (sinceNanos < MIN_NANOS) {
      return lastPowerMw;
    }
    EnergyReading from = sinceNanos > MAX_NANOS ? now : last.get();
    EnergyReading to = now;
    OptionalLong powerMw = to.powerMwSince(from);
    for (int tries = 0; powerMw.isEmpty(); tries++) {
      if (tries == MAX_TRIES) {
        throw new DeviceException.Failed(energy + " falls again and again");
      }
      // Also after a reload of the driver: then there is no difference to the read before.
      from = to;
      LockSupport.parkNanos(4 * MIN_NANOS);
      to = read();
      powerMw = to.powerMwSince(from);
    }
    last = Optional.of(to);
    lastPowerMw = powerMw.getAsLong();
    return lastPowerMw;
  }

  @Override
  public long energyMj() {
    return read().energyUj() / UJ_PER_MJ;
  }

  private EnergyReading read() {
    try {
      return energy.read();
    } catch (DeviceException.Failed e) {
      throw new DeviceException.Failed(
          e.getMessage() + "; is the kernel module " + driver + " loaded, and the GPU there?", e);
    }
  }

  @Override
  public void close() {
    energy.close();
  }
}
