package dev.zeusd.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Node;
import dev.zeusd.core.energy.EnergyWindow;
import dev.zeusd.core.energy.WindowEnergy;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.Subscription;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseRequest;
import dev.zeusd.core.settings.SettingKey;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A node in a time of the test's own: what it does depends on nothing else. */
@Timeout(120)
class SimulatedDevicesTest {
  private static final Duration GPU_PERIOD = Duration.ofMillis(50);

  private final TestClock clock = new TestClock();

  @Test
  void twoRunsGiveTheSameSamplesToTheDigit() throws Exception {
    List<PowerSample> first = samples(1, Duration.ofSeconds(20));
    assertEquals(first, samples(1, Duration.ofSeconds(20)));
    assertNotEquals(first, samples(2, Duration.ofSeconds(20)));
  }

  /** All samples of all devices, by a clock that begins with this. */
  private static List<PowerSample> samples(long seed, Duration time) throws Exception {
    TestClock clock = new TestClock();
    List<PowerSample> all = new ArrayList<>();
    try (Node node = SimulatedDevices.node(clock, seed);
        Subscription<GpuPowerSample> gpus = node.gpuPower().subscribe(List.of(0, 1, 2, 3));
        Subscription<CpuPowerSample> cpus = node.cpuPower().subscribe(List.of(0, 1))) {
      for (Duration passed = Duration.ZERO;
          passed.compareTo(time) <= 0;
          passed = passed.plus(GPU_PERIOD)) {
        clock.advance(Duration.ZERO);
        all.addAll(gpus.pollNow());
        all.addAll(cpus.pollNow());
        clock.advance(GPU_PERIOD);
      }
    }
    // Each GPU is read 20 times a second; its power is another each time, but for chance.
    long ofGpus = all.stream().filter(GpuPowerSample.class::isInstance).count();
    assertTrue(ofGpus > 4 * 390 && ofGpus <= 4 * 401, () -> "samples of GPUs: " + ofGpus);
    // The first read of a CPU is none of its power.
    long ofCpus = all.stream().filter(CpuPowerSample.class::isInstance).count();
    assertTrue(ofCpus > 2 * 190 && ofCpus <= 2 * 200, () -> "samples of CPUs: " + ofCpus);
    return all;
  }

  @Test
  void samplesHaveTheTimeOfTheClock() throws Exception {
    try (Node node = SimulatedDevices.node(clock, 0);
        Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(2))) {
      clock.advance(Duration.ofMinutes(2));
      List<GpuPowerSample> last = power.pollNow();
      assertEquals(
          TestClock.START_MS + Duration.ofMinutes(2).toMillis(), last.getLast().timestampMs());
    }
  }

  @Test
  void energyWindowsMeasureByTheClock() {
    try (Node node = SimulatedDevices.node(clock, 0)) {
      EnergyWindow window = node.energy().begin();
      clock.advance(Duration.ofMinutes(1));
      WindowEnergy minute = window.soFar();
      clock.advance(Duration.ofMinutes(9));
      WindowEnergy all = window.end();
      assertEquals(Duration.ofMinutes(10), all.elapsed());
      assertEquals(10 * minute.totalJoules(), all.totalJoules(), 1e-5 * all.totalJoules());
      assertTrue(all.totalJoules() > 600 * (4 * 70 + 2 * 60), all::toString);
    }
  }

  @Test
  void leasesEndByTheClock() {
    try (Node node = SimulatedDevices.node(clock, 0)) {
      LeaseRequest request =
          new LeaseRequest(
              "a test", Duration.ofSeconds(30), Duration.ZERO, LeaseRequest.OnEnd.RESTORE);
      Set<SettingKey> keys = Set.of(SettingKey.POWER_LIMIT);
      Lease lease = node.leases().take(node.leases().settings(List.of(1), keys), request);
      lease.setPowerLimit(250_000);
      clock.advance(Duration.ofMillis(29_999));
      assertEquals(250_000L, limitMw(node));
      clock.advance(Duration.ofMillis(2));
      assertEquals(700_000L, limitMw(node));
      assertTrue(lease.isEnded());
    }
  }

  private static long limitMw(Node node) {
    return node.gpus().get(1).call(gpu -> gpu.powerLimitMw());
  }
}
