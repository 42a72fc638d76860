package dev.zeusd.core.sampling;

/**
 * A GPU's power at one moment.
 *
 * @param timestampMs when the hardware was read, in ms since 1970
 * @param gpuId the GPU
 * @param powerMw its power in mW
 */
public record GpuPowerSample(long timestampMs, int gpuId, long powerMw) implements PowerSample {
  @Override
  public int id() {
    return gpuId;
  }

  @Override
  public boolean samePower(PowerSample other) {
    return other instanceof GpuPowerSample sample && sample.powerMw == powerMw;
  }
}
