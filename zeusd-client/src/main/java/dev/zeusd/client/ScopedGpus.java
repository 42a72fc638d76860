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

  /**
   * {@return power of this scope, as {@link ZeusdClient#gpuPower(int...)}}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public GpuPowers power(int... gpuIds) {
    return client.gpuPower(target("/gpu/get_power", gpuIds));
  }

  /**
   * {@return power of this scope, as {@link ZeusdClient#streamGpuPower(int...)}}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public PowerSamples<GpuPowerSample> streamPower(int... gpuIds) {
    return client.streamGpuPower(target("/gpu/stream_power", gpuIds));
  }

  /**
   * {@return limits of this scope in mW, as {@link ZeusdClient#powerLimitMw(int...)}}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public PerDevice<Long> powerLimitMw(int... gpuIds) {
    return client.powerLimitMw(target("/gpu/get_power_limit", gpuIds));
  }

  /**
   * {@return limits of this scope, as {@link ZeusdClient#powerLimitConstraints(int...)}}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public PerDevice<PowerLimitConstraints> powerLimitConstraints(int... gpuIds) {
    return client.powerLimitConstraints(target("/gpu/get_power_limit_constraints", gpuIds));
  }

  private Target target(String path, int... gpuIds) {
    return ZeusdClient.gpus(path, gpuIds).with("scope", scope.wireName());
  }
}
