package dev.zeusd.client;

/**
 * Power of one scope, where a GPU and its CPU are one module, and each is asked for by name. A GPU
 * that does not tell it is an error. May be used from any thread.
 */
public final class ScopedGpus {
  private final ZeusdClient client;
  private final PowerScope scope;

  ScopedGpus(ZeusdClient client, PowerScope scope) {
    this.client = client;
    this.scope = scope;
  }

  /** As {@link ZeusdClient#gpuPower(int...)}. */
  public GpuPowers power(int... gpuIds) {
    return client.gpuPower(target("/gpu/get_power", gpuIds));
  }

  /** As {@link ZeusdClient#streamGpuPower(int...)}. */
  public PowerSamples<GpuPowerSample> streamPower(int... gpuIds) {
    return client.streamGpuPower(target("/gpu/stream_power", gpuIds));
  }

  /** As {@link ZeusdClient#powerLimitMw(int...)}. */
  public PerDevice<Long> powerLimitMw(int... gpuIds) {
    return client.powerLimitMw(target("/gpu/get_power_limit", gpuIds));
  }

  /** As {@link ZeusdClient#powerLimitRange(int...)}. */
  public PerDevice<PowerLimitRange> powerLimitRange(int... gpuIds) {
    return client.powerLimitRange(target("/gpu/get_power_limit_constraints", gpuIds));
  }

  private Target target(String path, int... gpuIds) {
    return ZeusdClient.gpus(path, gpuIds).with("scope", scope.wireName());
  }
}
