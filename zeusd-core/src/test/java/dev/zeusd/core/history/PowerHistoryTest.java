package dev.zeusd.core.history;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.history.PowerHistory.Recorded;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PowerHistoryTest {
  private static final Duration LENGTH = Duration.ofMinutes(1);
  private static final int HZ = 100;

  private final List<AutoCloseable> open = new ArrayList<>();
  private volatile DeviceSet<Gpu, GpuPowerSample> gpus = gpus();

  /** A GPU whose power is a field. */
  private static final class FieldGpu implements Gpu {
    final GpuInfo info;
    final AtomicLong reads = new AtomicLong();
    volatile long powerMw;

    FieldGpu(int id) {
      info = GpuInfo.unknown(id);
    }

    @Override
    public GpuInfo info() {
      return info;
    }

    @Override
    public long powerMw() {
      reads.incrementAndGet();
      if (powerMw < 0) {
        throw new DeviceException.Failed("it is lost");
      }
      return powerMw;
    }
  }

  private DeviceSet<Gpu, GpuPowerSample> gpus(FieldGpu... some) {
    List<DeviceWorker<Gpu>> workers = new ArrayList<>();
    for (FieldGpu gpu : some) {
      workers.add(new DeviceWorker<>(gpu.info.id(), "gpu", gpu));
    }
    PowerSampler<Gpu, GpuPowerSample> sampler = PowerSampler.ofGpus(workers, HZ, NanoClock.SYSTEM);
    open.addFirst(() -> DeviceWorker.closeAll(workers));
    open.addFirst(sampler);
    return new DeviceSet<>(workers, sampler);
  }

  private PowerHistory history(long mostBytes) {
    PowerHistory history = PowerHistory.ofGpus(() -> gpus, LENGTH, HZ, mostBytes);
    open.addFirst(history);
    return history;
  }

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
  }

  /** All that there is of a GPU, as one step. */
  private static Recorded all(PowerHistory history, int id) {
    long fromMs = history.oldestMs(id).orElse(0);
    return history.read(id, new TimeSteps(fromMs, Duration.ofHours(1).toMillis(), 1));
  }

  private static int readings(PowerHistory history, int id) {
    return all(history, id).power().readings(0);
  }

  @Test
  void keepsEveryReadingAlsoOfSteadyPower() throws InterruptedException {
    FieldGpu gpu = new FieldGpu(3);
    gpu.powerMw = 123_456;
    gpus = gpus(gpu);
    PowerHistory history = history(1 << 20);
    Await.until("readings", () -> readings(history, 3) >= 20);
    PowerSteps power = all(history, 3).power();
    assertEquals(123_456, power.meanMw(0));
    assertEquals(123_456, power.minMw(0));
    assertEquals(123_456, power.maxMw(0));
    gpu.powerMw = 200_000;
    Await.until("the change", () -> all(history, 3).power().maxMw(0) == 200_000);
    assertEquals(123_456, all(history, 3).power().minMw(0));
    long mean = all(history, 3).power().meanMw(0);
    assertTrue(mean > 123_456 && mean < 200_000, () -> "mean " + mean);
    assertTrue(all(history, 3).dram().isEmpty());
  }

  @Test
  void aFailingGpuLeavesAHole() throws InterruptedException {
    FieldGpu gpu = new FieldGpu(0);
    gpu.powerMw = 1000;
    gpus = gpus(gpu);
    PowerHistory history = history(1 << 20);
    Await.until("readings", () -> readings(history, 0) >= 5);
    gpu.powerMw = -1;
    long failed = gpu.reads.get();
    Await.until("failures", () -> gpu.reads.get() > failed + 20);
    gpu.powerMw = 2000;
    Await.until("more", () -> all(history, 0).power().maxMw(0) == 2000);
    List<Long> times = new ArrayList<>();
    long fromMs = history.oldestMs(0).orElseThrow();
    PowerSteps fine = history.read(0, new TimeSteps(fromMs, 1, 60_000)).power();
    for (int step = 0; step < 60_000; step++) {
      if (fine.readings(step) > 0) {
        times.add(fromMs + step);
      }
    }
    long longestMs = 0;
    for (int i = 1; i < times.size(); i++) {
      longestMs = Math.max(longestMs, times.get(i) - times.get(i - 1));
    }
    long hole = longestMs;
    assertTrue(hole >= 20 * 1000 / HZ / 2, () -> "the longest hole has " + hole + " ms");
  }

  @Test
  void devicesThatComeLaterAreReadToo() throws InterruptedException {
    PowerHistory history = history(1 << 20);
    assertEquals(0, readings(history, 0));
    DeviceSet<Gpu, GpuPowerSample> before = gpus;
    FieldGpu gpu = new FieldGpu(0);
    gpus = gpus(gpu);
    before.power().close();
    Await.until("readings", () -> readings(history, 0) >= 5);
    before = gpus;
    gpus = gpus(gpu, new FieldGpu(1));
    before.power().close();
    Await.until("readings of the new one", () -> readings(history, 1) >= 5);
    assertTrue(readings(history, 0) >= 5, "the earlier ones are still there");
  }

  @Test
  void endsTheReadingsWhenItIsClosed() throws InterruptedException {
    FieldGpu gpu = new FieldGpu(0);
    gpus = gpus(gpu);
    PowerHistory history = history(1 << 20);
    Await.until("readings", () -> readings(history, 0) >= 5);
    assertTrue(gpus.power().isSubscribed());
    history.close();
    assertFalse(gpus.power().isSubscribed());
    Await.rest();
    history.close();
  }

  @Test
  void takesNoMoreMemoryThanItMay() throws InterruptedException {
    gpus = gpus(new FieldGpu(0), new FieldGpu(1));
    PowerHistory history = history(1600);
    Await.until("all that there is room for", () -> readings(history, 1) >= 100);
    assertEquals(1600, history.bytes());
    long reads = ((FieldGpu) gpus.devices().get(1).device()).reads.get();
    Await.until(
        "more readings",
        () -> ((FieldGpu) gpus.devices().get(1).device()).reads.get() > reads + 20);
    assertEquals(100, readings(history, 1));
    assertEquals(1600, history.bytes());
  }

  @Test
  void takesAsMuchAsTheTimeNeeds() throws InterruptedException {
    gpus = gpus(new FieldGpu(0));
    PowerHistory history = history(1 << 20);
    Await.until("memory", () -> history.bytes() > 0);
    assertEquals(8 * (LENGTH.toSeconds() * HZ + 1), history.bytes());
    assertEquals(LENGTH, history.length());
  }

  @Test
  void aNodeHasOneIfItIsTold() throws InterruptedException {
    NodeConfig config = NodeConfig.simulated();
    try (Node node = Node.open(config)) {
      assertTrue(node.gpuPowerHistory().isEmpty());
      assertTrue(node.powerHistoryLength().isEmpty());
      assertFalse(node.gpuPower().isSubscribed());
    }
    try (Node node = Node.open(config.withGpuPowerHistory(LENGTH).withCpuPowerHistory(LENGTH))) {
      PowerHistory gpus = node.gpuPowerHistory().orElseThrow();
      PowerHistory cpus = node.cpuPowerHistory().orElseThrow();
      Await.until("GPUs", () -> readings(gpus, 3) >= 5);
      Await.until("CPUs", () -> readings(cpus, 1) >= 5);
      assertTrue(all(cpus, 0).dram().isPresent());
      assertTrue(all(cpus, 1).dram().isEmpty());
      assertEquals(Node.Release.RECORDED, node.releaseGpus());
    }
    for (Duration wrong : List.of(Duration.ZERO, Duration.ofDays(15))) {
      assertThrows(
          IllegalArgumentException.class, () -> config.withGpuPowerHistory(wrong).toString());
    }
  }
}
