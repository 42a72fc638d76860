package dev.zeusd.ffm.amdsmi;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.zeusd.ffm.amdsmi.raw.AmdSmi;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_engine_usage_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_vram_usage_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * How a GPU is doing, reading by reading: each may be missing by itself. For one thread at a time,
 * as its {@link AmdSmiDevice}, and with the same errors.
 */
public final class AmdSmiSensors {
  private static final long BYTES_PER_MIB = 1L << 20;

  private final AmdSmiHandle gpu;

  /** Room for any of the structs below. */
  private final MemorySegment answer =
      Arena.ofAuto().allocate(AmdSmi.ZEUSD_AMDSMI_ASIC_INFO_ROOM(), Long.BYTES);

  AmdSmiSensors(AmdSmiHandle gpu) {
    this.gpu = gpu;
  }

  /** Where a temperature is measured. */
  public enum Sensor {
    EDGE(AmdSmi.AMDSMI_TEMPERATURE_TYPE_EDGE()),
    HOTSPOT(AmdSmi.AMDSMI_TEMPERATURE_TYPE_HOTSPOT()),
    MEMORY(AmdSmi.AMDSMI_TEMPERATURE_TYPE_VRAM());

    private final int type;

    Sensor(int type) {
      this.type = type;
    }
  }

  /** A temperature, in degrees Celsius. */
  public long temperatureC(Sensor sensor) throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_TEMPERATURE;
    answer.fill((byte) -1);
    int metric = AmdSmi.AMDSMI_TEMP_CURRENT();
    gpu.run(function, (calls, handle) -> calls.call(function, handle, sensor.type, metric, answer));
    long celsius = answer.get(JAVA_LONG, 0);
    if (celsius == -1 || celsius < -100 || celsius > 300) {
      throw new AmdSmiException(function, celsius + " degrees");
    }
    return celsius;
  }

  /** Parts of the time in which something was going on, in %. */
  public record Utilization(long gpuPct, long memoryPct) {}

  /** What it is busy with. */
  public Utilization utilization() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_ACTIVITY;
    answer.fill((byte) -1);
    gpu.run(function, (calls, handle) -> calls.call(function, handle, answer));
    return new Utilization(
        percent(function, amdsmi_engine_usage_t.gfx_activity(answer)),
        percent(function, amdsmi_engine_usage_t.umc_activity(answer)));
  }

  private static long percent(AmdSmiFunction function, int percent) throws AmdSmiException {
    long value = AmdSmiDevice.number(function, percent);
    if (value > 100) {
      throw new AmdSmiException(function, value + " %");
    }
    return value;
  }

  /** Its memory, in bytes. */
  public record Memory(long usedBytes, long totalBytes) {}

  /** How much memory there is and is used. */
  public Memory memory() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_VRAM;
    answer.fill((byte) -1);
    gpu.run(function, (calls, handle) -> calls.call(function, handle, answer));
    long used = Integer.toUnsignedLong(amdsmi_vram_usage_t.vram_used(answer));
    long total = Integer.toUnsignedLong(amdsmi_vram_usage_t.vram_total(answer));
    if (used > total || total == AmdSmiDevice.NONE_32) {
      throw new AmdSmiException(function, used + " MiB of " + total);
    }
    return new Memory(used * BYTES_PER_MIB, total * BYTES_PER_MIB);
  }
}
