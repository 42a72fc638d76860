package dev.zeusd.core.energy;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerScope;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/** A GPU whose counter and power are fields. */
final class CountingGpu implements Gpu {
  private final GpuInfo info;
  final AtomicInteger powerReads = new AtomicInteger();
  final AtomicInteger energyReads = new AtomicInteger();
  volatile long energyMj;
  volatile long powerMw = 100_000;
  volatile boolean counts = true;
  volatile boolean fails;

  CountingGpu(int id, String uuid) {
    info =
        new GpuInfo(
            id, "counting", Optional.of(uuid), Optional.empty(), Optional.empty(), PowerScope.GPU);
  }

  private void answer() {
    if (fails) {
      throw new DeviceException.Failed("it is lost");
    }
  }

  @Override
  public GpuInfo info() {
    return info;
  }

  @Override
  public long powerMw() {
    powerReads.incrementAndGet();
    answer();
    return powerMw;
  }

  @Override
  public long energyMj() {
    energyReads.incrementAndGet();
    if (!counts) {
      throw new DeviceException.NotSupported("it does not count");
    }
    answer();
    return energyMj;
  }
}
