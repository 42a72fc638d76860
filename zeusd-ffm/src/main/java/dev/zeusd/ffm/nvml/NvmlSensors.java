package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.zeusd.ffm.nvml.raw.Nvml;
import dev.zeusd.ffm.nvml.raw.nvmlFieldValue_t;
import dev.zeusd.ffm.nvml.raw.nvmlMemory_v2_t;
import dev.zeusd.ffm.nvml.raw.nvmlTemperature_t;
import dev.zeusd.ffm.nvml.raw.nvmlUtilization_t;
import dev.zeusd.ffm.nvml.raw.nvmlValue_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/**
 * How a GPU is doing, reading by reading: each may be missing by itself. For one thread at a time,
 * as its {@link NvmlDevice}, and with the same errors.
 */
public final class NvmlSensors {
  /** Nothing on a board is colder or hotter, and works. */
  private static final int MIN_C = -100;

  private static final int MAX_C = 300;

  private final NvmlHandle device;
  private final MemorySegment answer = Arena.ofAuto().allocate(JAVA_LONG, 8);

  NvmlSensors(NvmlHandle device) {
    this.device = device;
  }

  /**
   * The limit that holds the power down, in mW: the one that was set, or a lower one from outside,
   * such as from the machine's management controller.
   */
  public long enforcedPowerLimitMw() throws NvmlException {
    return number(NvmlFunction.GET_ENFORCED_POWER_LIMIT);
  }

  /** Temperature of the die, in degrees Celsius. */
  public long temperatureC() throws NvmlException {
    try {
      return newTemperatureC();
    } catch (NvmlException e) {
      return switch (e.result()) {
        case FUNCTION_NOT_FOUND, NOT_SUPPORTED, ARGUMENT_VERSION_MISMATCH -> oldTemperatureC();
        default -> throw e;
      };
    }
  }

  private long newTemperatureC() throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_TEMPERATURE_V;
    answer.fill((byte) -1);
    nvmlTemperature_t.version(answer, Nvml.nvmlTemperature_v1());
    nvmlTemperature_t.sensorType(answer, Nvml.NVML_TEMPERATURE_GPU());
    device.run(function, (calls, handle) -> calls.call(function, handle, answer));
    return temperature(function, nvmlTemperature_t.temperature(answer));
  }

  private long oldTemperatureC() throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_TEMPERATURE;
    answer.fill((byte) -1);
    int sensor = Nvml.NVML_TEMPERATURE_GPU();
    device.run(function, (calls, handle) -> calls.call(function, handle, sensor, answer));
    return temperature(function, answer.get(JAVA_INT, 0));
  }

  /** One degree below zero is all bits set, which is no answer. */
  private static long temperature(NvmlFunction function, int celsius) throws NvmlException {
    if (celsius == -1 || celsius < MIN_C || celsius > MAX_C) {
      throw new NvmlException(function, celsius + " degrees");
    }
    return celsius;
  }

  /** Temperature of the memory, in degrees Celsius ({@code NVML_FI_DEV_MEMORY_TEMP}). */
  public long memoryTemperatureC() throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_FIELD_VALUES;
    answer.fill((byte) -1);
    nvmlFieldValue_t.fieldId(answer, Nvml.NVML_FI_DEV_MEMORY_TEMP());
    nvmlFieldValue_t.scopeId(answer, 0);
    device.run(
        function,
        (calls, handle) -> {
          int result = calls.call(function, handle, 1, answer);
          return result == Nvml.NVML_SUCCESS() ? nvmlFieldValue_t.nvmlReturn(answer) : result;
        });
    return temperature(function, nvmlValue_t.siVal(nvmlFieldValue_t.value(answer)));
  }

  /** Clock of the multiprocessors, in MHz. */
  public long smClockMhz() throws NvmlException {
    return clockMhz(Nvml.NVML_CLOCK_SM());
  }

  /** Clock of the memory, in MHz. */
  public long memClockMhz() throws NvmlException {
    return clockMhz(Nvml.NVML_CLOCK_MEM());
  }

  private long clockMhz(int type) throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_CLOCK;
    answer.fill((byte) -1);
    device.run(function, (calls, handle) -> calls.call(function, handle, type, answer));
    return NvmlDevice.told(function, answer.get(JAVA_INT, 0));
  }

  /**
   * What part of the time something was going on lately, in %.
   *
   * @param gpuPct at least one kernel ran
   * @param memoryPct the memory was read or written
   */
  public record Utilization(long gpuPct, long memoryPct) {}

  /** Utilisation over the driver's last sample period, which is a second or less. */
  public Utilization utilization() throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_UTILIZATION;
    answer.fill((byte) -1);
    device.run(function, (calls, handle) -> calls.call(function, handle, answer));
    return new Utilization(
        percent(function, nvmlUtilization_t.gpu(answer)),
        percent(function, nvmlUtilization_t.memory(answer)));
  }

  private static long percent(NvmlFunction function, int percent) throws NvmlException {
    if (percent < 0 || percent > 100) {
      throw new NvmlException(function, Integer.toUnsignedString(percent) + " %");
    }
    return percent;
  }

  /** The GPU's memory, in bytes; what the driver keeps for itself is not in {@code usedBytes}. */
  public record Memory(long usedBytes, long totalBytes) {
    /** For who has passed the gate: asks a GPU, or an instance of one; gives NVML's result. */
    static int ask(NvmlCalls calls, MemorySegment handle, MemorySegment answer)
        throws NvmlException {
      answer.fill((byte) -1);
      nvmlMemory_v2_t.version(answer, Nvml.nvmlMemory_v2());
      return calls.call(NvmlFunction.GET_MEMORY, handle, answer);
    }

    static Memory of(MemorySegment answer) throws NvmlException {
      long used = nvmlMemory_v2_t.used(answer);
      long total = nvmlMemory_v2_t.total(answer);
      if (used < 0 || used > total) {
        throw new NvmlException(
            NvmlFunction.GET_MEMORY,
            Long.toUnsignedString(used) + " bytes of " + Long.toUnsignedString(total));
      }
      return new Memory(used, total);
    }
  }

  /** How much memory there is and is used. */
  public Memory memory() throws NvmlException {
    device.run(NvmlFunction.GET_MEMORY, (calls, handle) -> Memory.ask(calls, handle, answer));
    return Memory.of(answer);
  }

  /** Why the clocks are not higher now. */
  public Set<ClocksEventReason> clocksEventReasons() throws NvmlException {
    try {
      return reasons(NvmlFunction.GET_EVENT_REASONS);
    } catch (NvmlException e) {
      return switch (e.result()) {
        case FUNCTION_NOT_FOUND, NOT_SUPPORTED -> reasons(NvmlFunction.GET_THROTTLE_REASONS);
        default -> throw e;
      };
    }
  }

  private Set<ClocksEventReason> reasons(NvmlFunction function) throws NvmlException {
    answer.fill((byte) -1);
    device.run(function, (calls, handle) -> calls.call(function, handle, answer));
    long bits = answer.get(JAVA_LONG, 0);
    if (bits == -1) {
      throw new NvmlException(function, "all bits set");
    }
    return ClocksEventReason.of(bits);
  }

  /** The performance state: 0, the fastest, to 15. */
  public long performanceState() throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_PERFORMANCE_STATE;
    long state = number(function);
    if (state > Nvml.NVML_PSTATE_15()) {
      throw new NvmlException(function, "state " + state);
    }
    return state;
  }

  /** An {@code unsigned int}. */
  private long number(NvmlFunction function) throws NvmlException {
    answer.fill((byte) -1);
    device.run(function, (calls, handle) -> calls.call(function, handle, answer));
    return NvmlDevice.told(function, answer.get(JAVA_INT, 0));
  }
}
