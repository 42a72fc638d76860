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
record GpuScrape(GpuInfo info, Optional<GpuDriver> driver, Optional<Readings> readings) {
  /**
   * What was read.
   *
   * @param energyMj empty if it does not count
   */
  record Readings(long powerMw, OptionalDouble energyMj, GpuTelemetry telemetry) {
    /** Reads a GPU; on its thread. */
    static Readings of(Gpu gpu) {
      return ofPowered(gpu, gpu.powerMw());
    }

    /** The same where the power is known; a GPU that does not tell it is not asked any further. */
    static Readings ofPowered(Gpu gpu, long powerMw) {
      return new Readings(powerMw, energyMj(gpu), gpu.telemetry());
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
