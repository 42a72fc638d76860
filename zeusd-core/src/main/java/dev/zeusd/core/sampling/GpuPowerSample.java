package dev.zeusd.core.sampling;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import java.util.function.LongSupplier;

/**
 * A GPU's power at one moment.
 *
 * @param timestampMs when the hardware was read, in ms since 1970
 * @param gpuId the GPU
 * @param powerMw its power in mW
 */
public record GpuPowerSample(long timestampMs, int gpuId, long powerMw) implements PowerSample {
  /** Whatever the GPU tells first. */
  static GpuPowerSample read(Gpu gpu, LongSupplier timestampMs) {
    long powerMw = gpu.powerMw();
    return new GpuPowerSample(timestampMs.getAsLong(), gpu.info().id(), powerMw);
  }

  /** Of this scope and no other. */
  static PowerReader<Gpu, GpuPowerSample> readerOf(PowerScope scope) {
    return (gpu, timestampMs) -> {
      long powerMw = gpu.powerMwOf(scope);
      return new GpuPowerSample(timestampMs.getAsLong(), gpu.info().id(), powerMw);
    };
  }

  @Override
  public int id() {
    return gpuId;
  }

  @Override
  public boolean samePower(PowerSample other) {
    return other instanceof GpuPowerSample sample && sample.powerMw == powerMw;
  }
}
