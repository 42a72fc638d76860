package dev.zeusd.core.simulated;

import static dev.zeusd.core.device.GpuTelemetry.Reading.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.device.ThrottleReason;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A believable GPU, on a clock that the test moves. */
class SimulatedGpuTest {
  private static final long MS = 1_000_000L;
  private static final long SECOND = 1000 * MS;

  private long now = -5 * SECOND; // nanoTime may be negative
  private final SimulatedGpu gpu = new SimulatedGpu(0, 0, () -> now);

  private double meanPowerMw(int seconds) {
    double sum = 0;
    for (int i = 0; i < seconds * 100; i++) {
      now += 10 * MS;
      sum += gpu.powerMw();
    }
    return sum / (seconds * 100);
  }

  @Test
  void energyIsTheIntegralOfThePowerThroughAllChanges() {
    double sumMj = 0;
    long startMj = gpu.energyMj();
    for (int ms = 0; ms < 180_000; ms++) {
      switch (ms) {
        case 20_010 -> gpu.setPowerLimit(300_000);
        case 30_005 -> gpu.setGpuLockedClocks(210, 900);
        case 80_015 -> gpu.setPowerLimit(700_000);
        case 90_001 -> gpu.setMemLockedClocks(405, 1000);
        case 140_003 -> gpu.resetGpuLockedClocks();
        case 150_019 -> gpu.resetMemLockedClocks();
        default -> {}
      }
      now += MS / 2;
      sumMj += gpu.powerMw() / 1e3;
      now += MS / 2;
    }
    // powerMw is rounded to 1 mW, so over 180 s the sum is off by at most 90 mJ.
    assertEquals(sumMj, gpu.energyMj() - startMj, 100);
    assertTrue(sumMj > 180 * 70_000, "it drew at least its idle power");
  }

  @Test
  void aChangeDoesNotMoveTheEnergy() {
    now += 25 * SECOND + 3 * MS;
    long before = gpu.energyMj();
    gpu.setPowerLimit(250_000);
    assertEquals(before, gpu.energyMj(), 1);
    gpu.setGpuLockedClocks(210, 500);
    gpu.setMemLockedClocks(405, 500);
    gpu.resetGpuLockedClocks();
    gpu.resetMemLockedClocks();
    assertEquals(before, gpu.energyMj(), 6);
  }

  @Test
  void itIdlesThenWorks() {
    double idleMw = meanPowerMw(9);
    assertEquals(70_000, idleMw, 2_000);
    now += 11 * SECOND;
    double plateauMw = meanPowerMw(20);
    assertTrue(plateauMw > 5 * idleMw && plateauMw < 700_000, "plateau " + plateauMw);
  }

  @Test
  void theLimitIsNeverExceededAndBinds() {
    now += 20 * SECOND;
    gpu.setPowerLimit(200_000);
    assertEquals(200_000, gpu.powerLimitMw());
    for (int i = 0; i < 6000; i++) {
      now += 10 * MS;
      assertTrue(gpu.powerMw() <= 200_000);
    }
    assertEquals(200_000, gpu.powerMw());
    gpu.setPowerLimit(700_000);
    now += 60 * SECOND;
    assertTrue(gpu.powerMw() > 300_000);
  }

  @Test
  void lowerClocksDrawLessUntilTheyAreReset() {
    now += 20 * SECOND + 3 * MS; // not where one step of the power becomes the next
    double full = meanPowerMw(12);
    now += 48 * SECOND;
    gpu.setGpuLockedClocks(210, 1000);
    double slowGpu = meanPowerMw(12);
    now += 48 * SECOND;
    gpu.setMemLockedClocks(405, 1000);
    double slowBoth = meanPowerMw(12);
    now += 48 * SECOND;
    gpu.resetGpuLockedClocks();
    double slowMem = meanPowerMw(12);
    now += 48 * SECOND;
    gpu.resetMemLockedClocks();
    double again = meanPowerMw(12);
    assertTrue(slowBoth < slowGpu && slowGpu < slowMem && slowMem < full);
    assertEquals(full, again, 1);
  }

  @Test
  void clocksAboveTheHighestChangeNothing() {
    now += 20 * SECOND;
    long before = gpu.powerMw();
    gpu.setGpuLockedClocks(210, 0xffff_ffffL);
    gpu.setMemLockedClocks(405, 0xffff_ffffL);
    assertEquals(before, gpu.powerMw());
  }

  @Test
  void wrongValuesAreRefusedAndChangeNothing() {
    now += 20 * SECOND;
    long before = gpu.powerMw();
    for (long limit : new long[] {0, 199_999, 700_001, 0xffff_ffffL}) {
      assertThrows(DeviceException.InvalidArgument.class, () -> gpu.setPowerLimit(limit));
    }
    assertThrows(DeviceException.InvalidArgument.class, () -> gpu.setGpuLockedClocks(1000, 999));
    assertThrows(DeviceException.InvalidArgument.class, () -> gpu.setMemLockedClocks(1000, 999));
    assertEquals(before, gpu.powerMw());
    assertEquals(700_000, gpu.powerLimitMw());
  }

  @Test
  void settingsAreKept() {
    assertEquals(new PowerLimitConstraints(200_000, 700_000), gpu.powerLimitConstraints());
    assertFalse(gpu.persistenceMode());
    gpu.setPersistenceMode(true);
    assertTrue(gpu.persistenceMode());
  }

  @Test
  void afterAYearItStillWorks() {
    now += 365L * 24 * 3600 * SECOND;
    long before = gpu.energyMj();
    double meanMw = meanPowerMw(60);
    assertEquals(60 * meanMw, gpu.energyMj() - before, 60 * meanMw * 1e-4);
    assertEquals(365.0 * 24 * 3600 * meanMw, before, before * 1e-3);
  }

  @Test
  void theFourOfANodeDiffer() {
    List<Gpu> gpus = SimulatedGpu.typicalNode();
    assertEquals(List.of(0, 1, 2, 3), gpus.stream().map(each -> each.info().id()).toList());
    assertEquals(
        List.of("0000:19:00.0", "0000:29:00.0", "0000:39:00.0", "0000:49:00.0"),
        gpus.stream().map(each -> each.info().pciAddress().orElseThrow()).toList());
    SimulatedGpu shifted = new SimulatedGpu(1, 0, () -> now);
    now += 11 * SECOND;
    assertNotEquals(gpu.powerMw(), shifted.powerMw());
  }

  private long reading(GpuTelemetry.Reading reading) {
    return gpu.telemetry().get(reading).orElseThrow();
  }

  @Test
  void theTemperatureFollowsThePower() {
    now += 5 * SECOND;
    long idleC = reading(TEMPERATURE_C);
    now += 35 * SECOND;
    long loadC = reading(TEMPERATURE_C);
    assertTrue(idleC > 25 && idleC < loadC - 15 && loadC < 90, idleC + " to " + loadC);
    gpu.setPowerLimit(200_000);
    assertTrue(reading(TEMPERATURE_C) < loadC - 15);
  }

  @Test
  void thePowerLimitHoldsTheClockDownAndIsTold() {
    now += 20 * SECOND;
    while (gpu.powerMw() < 600_000) {
      now += 20 * MS;
    }
    assertEquals(1980, reading(SM_CLOCK_MHZ));
    assertEquals(Optional.of(Set.of()), gpu.telemetry().throttleReasons());
    gpu.setPowerLimit(300_000);
    long cappedMhz = reading(SM_CLOCK_MHZ);
    assertTrue(cappedMhz > 800 && cappedMhz < 1500, "clock " + cappedMhz);
    assertEquals(
        Optional.of(Set.of(ThrottleReason.SW_POWER_CAP)), gpu.telemetry().throttleReasons());
    assertEquals(300_000, reading(ENFORCED_POWER_LIMIT_MW));
    assertEquals(700_000, reading(DEFAULT_POWER_LIMIT_MW));
  }

  @Test
  void lockedClocksAreKept() {
    now += 3 * SECOND;
    assertEquals(345, reading(SM_CLOCK_MHZ));
    assertEquals(Optional.of(Set.of(ThrottleReason.GPU_IDLE)), gpu.telemetry().throttleReasons());
    gpu.setGpuLockedClocks(600, 900);
    gpu.setMemLockedClocks(1000, 1500);
    assertEquals(600, reading(SM_CLOCK_MHZ));
    assertEquals(1500, reading(MEM_CLOCK_MHZ));
    now += 20 * SECOND;
    assertEquals(900, reading(SM_CLOCK_MHZ));
    assertEquals(0, reading(PERFORMANCE_STATE));
    gpu.resetGpuLockedClocks();
    assertEquals(1980, reading(SM_CLOCK_MHZ));
  }
}
