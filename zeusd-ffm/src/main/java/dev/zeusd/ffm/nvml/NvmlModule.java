package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.nvml.NvmlDevice.Range;
import dev.zeusd.ffm.nvml.raw.Nvml;
import dev.zeusd.ffm.nvml.raw.nvmlPowerValue_v2_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The module that carries a GPU with its CPU and memory (Grace Hopper): {@link
 * NvmlReturn#NOT_SUPPORTED} where there is none. For one thread at a time, as its {@link
 * NvmlDevice}, and with the same errors.
 */
public final class NvmlModule {
  private final NvmlHandle gpu;
  private final PowerField power = new PowerField();

  NvmlModule(NvmlHandle gpu) {
    this.gpu = gpu;
  }

  /** The power that it draws at this moment, in mW. */
  public long powerMw() throws NvmlException {
    gpu.run(NvmlFunction.GET_FIELD_VALUES, this::askForPower);
    return power.powerMw();
  }

  private int askForPower(NvmlCalls calls, MemorySegment device) throws NvmlException {
    return ask(calls, device, Nvml.NVML_FI_DEV_POWER_INSTANT());
  }

  /** The power limit that was set for it, in mW. */
  public long powerLimitMw() throws NvmlException {
    return limitMw(Nvml.NVML_FI_DEV_POWER_REQUESTED_LIMIT());
  }

  /** The limit that the driver sets for it at its start, in mW. */
  public long defaultPowerLimitMw() throws NvmlException {
    return limitMw(Nvml.NVML_FI_DEV_POWER_DEFAULT_LIMIT());
  }

  /** The lowest and highest limit that can be set for it, in mW. */
  public Range powerLimitsMw() throws NvmlException {
    return new Range(
        limitMw(Nvml.NVML_FI_DEV_POWER_MIN_LIMIT()), limitMw(Nvml.NVML_FI_DEV_POWER_MAX_LIMIT()));
  }

  /** Sets its power limit, in mW (an {@code unsigned int}). Needs root. */
  public void setPowerLimitMw(long limitMw) throws NvmlException {
    // Where there is no module, this says so; setting it might call the value invalid.
    powerLimitMw();
    NvmlFunction function = NvmlFunction.SET_POWER_LIMIT_OF_SCOPE;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment value = nvmlPowerValue_v2_t.allocate(call);
      nvmlPowerValue_v2_t.version(value, Nvml.nvmlPowerValue_v2());
      nvmlPowerValue_v2_t.powerScope(value, (byte) Nvml.NVML_POWER_SCOPE_MODULE());
      nvmlPowerValue_v2_t.powerValueMw(value, (int) limitMw);
      gpu.run(function, (calls, device) -> calls.call(function, device, value));
    }
  }

  private long limitMw(int field) throws NvmlException {
    gpu.run(NvmlFunction.GET_FIELD_VALUES, (calls, device) -> ask(calls, device, field));
    return power.powerMw();
  }

  private int ask(NvmlCalls calls, MemorySegment device, int field) throws NvmlException {
    return power.ask(calls, device, field, Nvml.NVML_POWER_SCOPE_MODULE());
  }
}
