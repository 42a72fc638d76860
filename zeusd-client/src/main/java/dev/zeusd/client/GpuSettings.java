package dev.zeusd.client;

import java.util.Collection;
import java.util.Map;

/**
 * Changes settings of GPUs. Each call waits until all of its GPUs are done, and throws {@link
 * ZeusdException} if one could not do it, with an error for each that failed; the others have done
 * it. May be used from any thread.
 */
public final class GpuSettings {
  private final Http http;
  private final Map<String, String> headers;
  private final boolean block;

  GpuSettings(Http http, Map<String, String> headers, boolean block) {
    this.http = http;
    this.headers = headers;
    this.block = block;
  }

  /**
   * The same without waiting: what fails is in the daemon's log only.
   *
   * @return the same settings, written without waiting
   */
  public GpuSettings withoutWaiting() {
    return new GpuSettings(http, headers, false);
  }

  /**
   * Sets the power limit of the GPUs, in mW.
   *
   * @param gpuIds the GPUs to set
   * @param powerLimitMw the limit, in mW
   */
  public void setPowerLimit(Collection<Integer> gpuIds, long powerLimitMw) {
    write(limit(gpuIds, powerLimitMw));
  }

  /**
   * Sets the power limit of the GPUs or of the modules that carry them, in mW.
   *
   * @param gpuIds the GPUs
   * @param scope whether theirs or their modules'
   * @param powerLimitMw the limit, in mW
   */
  public void setPowerLimit(Collection<Integer> gpuIds, PowerScope scope, long powerLimitMw) {
    write(limit(gpuIds, powerLimitMw).with("scope", scope.wireName()));
  }

  private static Target limit(Collection<Integer> gpuIds, long powerLimitMw) {
    return target("/gpu/set_power_limit", gpuIds).with("power_limit_mw", powerLimitMw);
  }

  /**
   * Sets the power limit that each driver sets by itself.
   *
   * @param gpuIds the GPUs to set
   */
  public void resetPowerLimit(Collection<Integer> gpuIds) {
    write(target("/gpu/reset_power_limit", gpuIds));
  }

  /**
   * Sets the power limit, as each driver sets it by itself, of the GPUs or of the modules that
   * carry them.
   *
   * @param gpuIds the GPUs
   * @param scope whether theirs or their modules'
   */
  public void resetPowerLimit(Collection<Integer> gpuIds, PowerScope scope) {
    write(target("/gpu/reset_power_limit", gpuIds).with("scope", scope.wireName()));
  }

  /**
   * Keeps the clocks of the processors within a range, in MHz.
   *
   * @param gpuIds the GPUs to set
   * @param minClockMhz the lowest clock, in MHz
   * @param maxClockMhz the highest clock, in MHz
   */
  public void lockGpuClocks(Collection<Integer> gpuIds, int minClockMhz, int maxClockMhz) {
    write(clocks("/gpu/set_gpu_locked_clocks", gpuIds, minClockMhz, maxClockMhz));
  }

  /**
   * Keeps the clocks of the memory within a range, in MHz.
   *
   * @param gpuIds the GPUs to set
   * @param minClockMhz the lowest clock, in MHz
   * @param maxClockMhz the highest clock, in MHz
   */
  public void lockMemClocks(Collection<Integer> gpuIds, int minClockMhz, int maxClockMhz) {
    write(clocks("/gpu/set_mem_locked_clocks", gpuIds, minClockMhz, maxClockMhz));
  }

  /**
   * Leaves the clocks of the processors to the driver.
   *
   * @param gpuIds the GPUs to set
   */
  public void resetGpuClocks(Collection<Integer> gpuIds) {
    write(target("/gpu/reset_gpu_locked_clocks", gpuIds));
  }

  /**
   * Leaves the clocks of the memory to the driver.
   *
   * @param gpuIds the GPUs to set
   */
  public void resetMemClocks(Collection<Integer> gpuIds) {
    write(target("/gpu/reset_mem_locked_clocks", gpuIds));
  }

  /**
   * Leaves all clocks to the driver.
   *
   * @param gpuIds the GPUs to set
   */
  public void resetClocks(Collection<Integer> gpuIds) {
    write(target("/gpu/reset_locked_clocks", gpuIds));
  }

  /**
   * Says whether the driver stays loaded while nobody uses the GPU.
   *
   * @param gpuIds the GPUs to set
   * @param enabled whether the driver stays loaded while nobody uses the GPU
   */
  public void setPersistenceMode(Collection<Integer> gpuIds, boolean enabled) {
    write(target("/gpu/set_persistence_mode", gpuIds).with("enabled", enabled));
  }

  private static Target clocks(
      String path, Collection<Integer> gpuIds, int minClockMhz, int maxClockMhz) {
    return target(path, gpuIds)
        .with("min_clock_mhz", minClockMhz)
        .with("max_clock_mhz", maxClockMhz);
  }

  private static Target target(String path, Collection<Integer> gpuIds) {
    if (gpuIds.isEmpty()) {
      throw new IllegalArgumentException("no GPUs are named");
    }
    return Target.of(path).withIds("gpu_ids", gpuIds);
  }

  private void write(Target target) {
    Target whole = target.with("block", block);
    Http.Text answer = http.post(whole, headers);
    if (answer.status() / 100 != 2) {
      throw Http.refusal(answer.status(), whole, answer.text());
    }
  }
}
