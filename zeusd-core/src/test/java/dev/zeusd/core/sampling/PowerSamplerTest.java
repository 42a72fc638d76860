package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertNotSame;

import dev.zeusd.core.Await;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.testkit.TestClock;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A sampler and the threads of its devices, in a time of the test's own. */
@Timeout(60)
class PowerSamplerTest {
  private static final long MS = 1_000_000;

  @Test
  void readingsTellHowQuickADeviceIs() throws Exception {
    TestClock clock = new TestClock();
    AtomicInteger reads = new AtomicInteger();
    DeviceWorker<Gpu> gpu =
        PublicationOrderTest.worker(
            0,
            () -> {
              clock.jump(5 * MS);
              return reads.incrementAndGet();
            },
            clock);
    PowerSampler<Gpu, GpuPowerSample> sampler = PowerSampler.ofGpus(List.of(gpu), 20, clock);
    try (Subscription<GpuPowerSample> power = sampler.subscribe(List.of(0))) {
      Await.until(
          "it is read",
          () -> {
            clock.jump(7 * MS);
            return reads.get() >= 5;
          });
      // It is idle in between.
      for (int i = 0; i < 20; i++) {
        assertNotSame(
            Thread.currentThread(), gpu.runOrSubmit(device -> Thread.currentThread()).join());
        clock.jump(7 * MS);
      }
      power.pollNow();
    } finally {
      gpu.close();
      sampler.close();
    }
  }
}
