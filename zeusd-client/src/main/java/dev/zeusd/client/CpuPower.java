package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.util.OptionalLong;

/**
 * The power of one CPU.
 *
 * @param cpuMw of the package, in mW
 * @param dramMw of its memory, in mW; empty if that is not measured, or cannot be read
 */
public record CpuPower(long cpuMw, OptionalLong dramMw) {
  static CpuPower of(JsonObject json) {
    return new CpuPower(
        json.getJsonNumber("cpu_mw").longValue(), Json.optionalLong(json, "dram_mw"));
  }
}
