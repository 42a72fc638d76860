package dev.zeusd.client;

import jakarta.json.JsonNumber;
import jakarta.json.JsonObject;
import java.util.List;

/**
 * Reads the events of power streams in both dialects: one sample each, as it is asked for, or all
 * devices at once, as older daemons send it whatever is asked.
 */
final class SampleReader {
  private SampleReader() {}

  static List<GpuPowerSample> gpus(String data) {
    JsonObject json = Json.object(data);
    return Json.understood(
        () -> {
          long timestampMs = timestampMs(json);
          if (json.containsKey("gpu_id")) {
            return List.of(
                new GpuPowerSample(timestampMs, json.getInt("gpu_id"), number(json, "power_mw")));
          }
          JsonObject byId = json.getJsonObject("power_mw");
          return byId.keySet().stream()
              .map(id -> new GpuPowerSample(timestampMs, Integer.parseInt(id), number(byId, id)))
              .toList();
        });
  }

  static List<CpuPowerSample> cpus(String data) {
    JsonObject json = Json.object(data);
    return Json.understood(
        () -> {
          long timestampMs = timestampMs(json);
          if (json.containsKey("cpu_id")) {
            return List.of(
                new CpuPowerSample(timestampMs, json.getInt("cpu_id"), CpuPower.of(json)));
          }
          JsonObject byId = json.getJsonObject("power_mw");
          return byId.keySet().stream()
              .map(
                  id ->
                      new CpuPowerSample(
                          timestampMs, Integer.parseInt(id), CpuPower.of(byId.getJsonObject(id))))
              .toList();
        });
  }

  private static long timestampMs(JsonObject json) {
    return number(json, "timestamp_ms");
  }

  private static long number(JsonObject json, String name) {
    JsonNumber number = json.getJsonNumber(name);
    return number.longValue();
  }
}
