package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertNotSame;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.DeviceWorker;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A sampler and the threads of its devices. */
@Timeout(60)
class PowerSamplerTest {
  @Test
  void readingsTellHowQuickADeviceIs() throws Exception {
    AtomicInteger ticks = new AtomicInteger();
    DeviceWorker<Gpu> gpu =
        PublicationOrderTest.worker(
            0,
            () -> {
              try {
                Thread.sleep(20);
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
              return ticks.incrementAndGet();
            });
    PowerSampler<Gpu, GpuPowerSample> sampler = PowerSampler.ofGpus(List.of(gpu), 20);
    try (Subscription<GpuPowerSample> power = sampler.subscribe(List.of(0))) {
      while (ticks.get() < 5) {
        power.poll(Duration.ofSeconds(20));
      }
      // It is idle in between.
      for (int i = 0; i < 20; i++) {
        assertNotSame(
            Thread.currentThread(), gpu.runOrSubmit(device -> Thread.currentThread()).join());
        power.poll(Duration.ofMillis(7));
      }
    } finally {
      gpu.close();
    }
  }
}
