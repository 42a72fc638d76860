package dev.zeusd.core.energy;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerScope;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
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

  /** Until it is open, {@link #energyMj} does not answer. */
  volatile CountDownLatch hangs = new CountDownLatch(0);

  /** Whether it does not answer just now. */
  volatile boolean waits;

  CountingGpu(int id, String uuid) {
    this(id, uuid, PowerScope.GPU);
  }

  CountingGpu(int id, String uuid, PowerScope scope) {
    info =
        new GpuInfo(id, "counting", Optional.of(uuid), Optional.empty(), Optional.empty(), scope);
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
    waits = hangs.getCount() > 0;
    try {
      hangs.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return energyMj;
  }
}
