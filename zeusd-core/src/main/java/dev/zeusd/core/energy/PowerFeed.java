package dev.zeusd.core.energy;

import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.Subscription;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Adds the power that the sampler reads to the GPUs that do not count their energy; those alone are
 * sampled, and only while a window wants one.
 *
 * <p>The thread that samples adds it.
 */
final class PowerFeed {
  private final Supplier<DeviceSet<Gpu, GpuPowerSample>> set;
  private final NanoClock readClock;
  private final BootClock clock;
  private final Runnable onClose;

  /** Guarded by this. */
  private Optional<Subscription<GpuPowerSample>> subscription = Optional.empty();

  /** Those that each GPU of the set is, by its id: two, if it was first met without its UUID. */
  private volatile Map<Integer, List<MeteredGpu>> gpus = Map.of();

  /**
   * Samples nothing so far.
   *
   * @param set the GPUs of now
   * @param readClock the clock of their readings
   * @param onClose called when there are others, so that {@link #feed} has to follow
   */
  PowerFeed(
      Supplier<DeviceSet<Gpu, GpuPowerSample>> set,
      NanoClock readClock,
      BootClock clock,
      Runnable onClose) {
    this.set = set;
    this.readClock = readClock;
    this.clock = clock;
    this.onClose = onClose;
  }

  /** Samples these from now on, as far as they are there, and no others. */
  synchronized void feed(Collection<MeteredGpu> wanted) {
    if (wanted.isEmpty() && subscription.isEmpty()) {
      return;
    }
    DeviceSet<Gpu, GpuPowerSample> now = set.get();
    Map<Integer, List<MeteredGpu>> byId = new HashMap<>();
    for (DeviceWorker<Gpu> gpu : now.devices()) {
      List<MeteredGpu> same = wanted.stream().filter(each -> each.isOf(gpu)).toList();
      if (!same.isEmpty()) {
        byId.put(gpu.id(), same);
      }
    }
    boolean isOpen = subscription.isEmpty() || !subscription.get().isClosed();
    if (isOpen && byId.equals(gpus)) {
      return;
    }
    gpus = byId;
    Optional<Subscription<GpuPowerSample>> before = subscription;
    subscription =
        byId.isEmpty()
            ? Optional.empty()
            : Optional.of(now.power().follow(byId.keySet(), this::addRead, onClose));
    // After the new one has begun, so that those who go on are not stopped in between.
    before.ifPresent(Subscription::close);
  }

  private void addRead(Subscription<GpuPowerSample> own) {
    long bootAheadNanos = clock.nanos() - readClock.nanoTime();
    own.forEachCurrent(
        (sample, readNanos) -> {
          for (MeteredGpu gpu : gpus.getOrDefault(sample.gpuId(), List.of())) {
            gpu.addPower(sample.powerMw(), readNanos + bootAheadNanos);
          }
        });
  }

  synchronized void close() {
    feed(List.of());
  }
}
