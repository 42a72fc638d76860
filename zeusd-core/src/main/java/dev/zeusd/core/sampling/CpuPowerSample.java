package dev.zeusd.core.sampling;

import java.util.OptionalLong;

/**
 * A CPU package's power over the time between two reads of its energy counter.
 *
 * @param timestampMs when the hardware was read the second time, in ms since 1970
 * @param cpuId the package
 * @param cpuMw its power in mW
 * @param dramMw the power of its DRAM in mW, where it is measured
 */
public record CpuPowerSample(long timestampMs, int cpuId, long cpuMw, OptionalLong dramMw)
    implements PowerSample {
  @Override
  public int id() {
    return cpuId;
  }

  @Override
  public boolean samePower(PowerSample other) {
    return other instanceof CpuPowerSample sample
        && sample.cpuMw == cpuMw
        && sample.dramMw.equals(dramMw);
  }
}
