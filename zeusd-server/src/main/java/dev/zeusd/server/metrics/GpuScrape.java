package dev.zeusd.server.metrics;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What a scrape has found out about a GPU.
 *
 * @param readings empty if it does not answer, or not in time
 */
record GpuScrape(
    GpuInfo info, GpuLabels labels, Optional<GpuDriver> driver, Optional<Readings> readings) {
  /**
   * What was read.
   *
   * @param energyMj empty if it does not count
   */
  record Readings(long powerMw, OptionalDouble energyMj, GpuTelemetry telemetry) {
    /** Reads a GPU, on its thread; one that does not tell its power is not asked any further. */
    static Readings of(Gpu gpu) {
      return new Readings(gpu.powerMw(), energyMj(gpu), gpu.telemetry());
    }

    /** The same but for the power, which somebody knows already. */
    static Readings withoutPower(Gpu gpu) {
      return new Readings(0, energyMj(gpu), gpu.telemetry());
    }

    Readings withPowerMw(long knownMw) {
      return new Readings(knownMw, energyMj, telemetry);
    }

    private static OptionalDouble energyMj(Gpu gpu) {
      if (gpu.info().cumulativeEnergyAvailable().equals(Optional.of(false))) {
        return OptionalDouble.empty();
      }
      try {
        return OptionalDouble.of(unsigned(gpu.energyMj()));
      } catch (DeviceException.NotSupported e) {
        return OptionalDouble.empty();
      }
    }

    private static double unsigned(long value) {
      return value >= 0 ? value : value + 0x1p64;
    }
  }
}
