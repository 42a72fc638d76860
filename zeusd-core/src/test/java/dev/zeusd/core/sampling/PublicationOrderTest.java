package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.worker.Carriers;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What waits to be published against what is current: a rare order of events, forced. */
@Timeout(60)
class PublicationOrderTest {
  private final CountDownLatch release = new CountDownLatch(1);

  /** A GPU that has nothing but power, and its thread. */
  static DeviceWorker<Gpu> worker(int id, LongSupplier powerMw) {
    return worker(id, powerMw, NanoClock.SYSTEM);
  }

  static DeviceWorker<Gpu> worker(int id, LongSupplier powerMw, NanoClock clock) {
    Gpu gpu =
        (Gpu)
            Proxy.newProxyInstance(
                Gpu.class.getClassLoader(),
                new Class<?>[] {Gpu.class},
                (proxy, method, arguments) ->
                    switch (method.getName()) {
                      case "info" -> GpuInfo.unknown(id);
                      case "powerMw" -> powerMw.getAsLong();
                      default -> throw new AssertionError(method);
                    });
    return new DeviceWorker<>(id, "GPU " + id, gpu, Carriers.OF_THIS_MACHINE, clock);
  }

  private static void await(CountDownLatch latch) {
    try {
      assertTrue(latch.await(30, TimeUnit.SECONDS));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Keeps a worker busy from the end of its present work to the release. */
  private void block(DeviceWorker<Gpu> worker, CountDownLatch blocked) {
    worker.submit(
        gpu -> {
          blocked.countDown();
          await(release);
          return null;
        });
  }

  /**
   * GPU 1 hangs, so the first tick waits; GPU 2, whose thread would end that wait, is busy; so GPU
   * 0 ticks a second time while its first sample is not yet published. Who subscribes then gets the
   * second sample, and must not be given the first one afterwards.
   */
  @Test
  void aSampleThatWaitedDoesNotComeAfterANewerOne() throws Exception {
    CountDownLatch blocked0 = new CountDownLatch(1);
    CountDownLatch blocked2 = new CountDownLatch(1);
    AtomicInteger reads0 = new AtomicInteger();
    AtomicInteger reads2 = new AtomicInteger();
    DeviceWorker<?>[] workers = new DeviceWorker<?>[3];
    @SuppressWarnings("unchecked")
    List<DeviceWorker<Gpu>> gpus =
        List.of(
            worker(
                0,
                () -> {
                  if (reads0.incrementAndGet() == 1) {
                    await(blocked2);
                  } else if (reads0.get() == 2) {
                    block((DeviceWorker<Gpu>) workers[0], blocked0);
                  }
                  return 50_000;
                }),
            worker(
                1,
                () -> {
                  await(release);
                  return 60_000;
                }),
            worker(
                2,
                () -> {
                  if (reads2.incrementAndGet() == 1) {
                    block((DeviceWorker<Gpu>) workers[2], blocked2);
                  }
                  return 70_000;
                }));
    gpus.toArray(workers);
    PowerSampler<Gpu, GpuPowerSample> sampler = PowerSampler.ofGpus(gpus, 2, NanoClock.SYSTEM);
    try (Subscription<GpuPowerSample> all = sampler.subscribe(List.of(0, 1, 2))) {
      assertEquals(3, all.deviceCount());
      await(blocked0);
      try (Subscription<GpuPowerSample> late = sampler.subscribe(List.of(0))) {
        GpuPowerSample current = late.poll(Duration.ofSeconds(20)).get(0);
        release.countDown();
        for (GpuPowerSample next : late.poll(Duration.ofMillis(300))) {
          assertTrue(next.timestampMs() >= current.timestampMs(), next + " after " + current);
        }
      }
    } finally {
      release.countDown();
      DeviceWorker.closeAll(gpus);
    }
  }

  /**
   * GPU 1 hangs in its second reading, and GPU 0's thread, which would end the wait for it, is
   * busy; so GPU 0's second value is current and not yet published, while its first one has not
   * even been polled. Who joins the subscription then must not be told the second value first.
   */
  @Test
  void whatANewcomerIsToldIsNotFollowedByAnOlderValue() throws Exception {
    CountDownLatch blocked0 = new CountDownLatch(1);
    AtomicInteger reads0 = new AtomicInteger();
    AtomicInteger reads1 = new AtomicInteger();
    DeviceWorker<?>[] workers = new DeviceWorker<?>[2];
    @SuppressWarnings("unchecked")
    List<DeviceWorker<Gpu>> gpus =
        List.of(
            worker(
                0,
                () -> {
                  if (reads0.incrementAndGet() == 2) {
                    block((DeviceWorker<Gpu>) workers[0], blocked0);
                  }
                  return 10_000 * reads0.get();
                }),
            worker(
                1,
                () -> {
                  if (reads1.incrementAndGet() == 2) {
                    await(release);
                  }
                  return 70_000;
                }));
    gpus.toArray(workers);
    PowerSampler<Gpu, GpuPowerSample> sampler = PowerSampler.ofGpus(gpus, 2, NanoClock.SYSTEM);
    try (Subscription<GpuPowerSample> shared = sampler.subscribe(List.of(0, 1))) {
      await(blocked0);
      Bookmark<GpuPowerSample> newcomer = shared.newBookmark();
      List<GpuPowerSample> told = new ArrayList<>(newcomer.take(shared.board()));
      release.countDown();
      while (told.stream().noneMatch(sample -> sample.powerMw() == 20_000)) {
        assertTrue(!shared.poll(Duration.ofSeconds(20)).isEmpty(), "it never comes: " + told);
        told.addAll(newcomer.take(shared.board()));
      }
      long lastMw = 0;
      for (GpuPowerSample sample : told) {
        if (sample.gpuId() == 0) {
          assertTrue(sample.powerMw() >= lastMw, "in this order: " + told);
          lastMw = sample.powerMw();
        }
      }
    } finally {
      release.countDown();
      DeviceWorker.closeAll(gpus);
    }
  }
}
