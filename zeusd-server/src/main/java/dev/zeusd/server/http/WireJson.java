package dev.zeusd.server.http;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.server.ApiGroup;
import jakarta.json.Json;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObject;
import jakarta.json.JsonObjectBuilder;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * All JSON that clients see. What is sent often is put together by hand: it holds nothing but
 * numbers.
 */
final class WireJson {
  private WireJson() {}

  static byte[] time(long timestampMs) {
    return ascii(new StringBuilder("{\"timestamp_ms\":").append(timestampMs).append('}'));
  }

  static byte[] error(String message) {
    return bytes(Json.createObjectBuilder().add("error", message).build());
  }

  static byte[] deviceErrors(Map<Integer, DeviceException> errors) {
    JsonObjectBuilder byId = Json.createObjectBuilder();
    errors.forEach((id, e) -> byId.add(id.toString(), String.valueOf(e.getMessage())));
    return bytes(Json.createObjectBuilder().add("errors", byId).build());
  }

  static byte[] discovery(List<GpuInfo> gpus, Set<ApiGroup> groups) {
    JsonArrayBuilder gpuIds = Json.createArrayBuilder();
    JsonArrayBuilder gpuObjects = Json.createArrayBuilder();
    for (GpuInfo gpu : gpus) {
      gpuIds.add(gpu.id());
      gpuObjects.add(
          Json.createObjectBuilder()
              .add("id", gpu.id())
              .add("name", gpu.name())
              .add("pci_address", gpu.pciAddress())
              .add("cumulative_energy_available", gpu.cumulativeEnergyAvailable()));
    }
    JsonArrayBuilder groupNames = Json.createArrayBuilder();
    if (!groups.isEmpty()) {
      EnumSet.copyOf(groups).forEach(group -> groupNames.add(group.wireName()));
    }
    return bytes(
        Json.createObjectBuilder()
            .add("gpu_ids", gpuIds)
            .add("cpu_ids", Json.createArrayBuilder())
            .add("dram_available", Json.createArrayBuilder())
            .add("gpus", gpuObjects)
            .add("cpus", Json.createArrayBuilder())
            .add("enabled_api_groups", groupNames)
            .add("auth_required", false)
            .build());
  }

  /** The body of {@code /gpu/get_power}, and an event of the snapshot dialect. */
  static byte[] gpuPower(Collection<GpuPowerSample> samples) {
    long timestampMs = 0;
    StringBuilder power = new StringBuilder();
    for (GpuPowerSample sample : samples) {
      timestampMs = Math.max(timestampMs, sample.timestampMs());
      key(power, sample.gpuId()).append(sample.powerMw());
    }
    StringBuilder json = new StringBuilder("{\"timestamp_ms\":").append(timestampMs);
    return ascii(json.append(",\"power_mw\":{").append(power).append("}}"));
  }

  /** An event of the sample dialect. */
  static byte[] gpuPowerSample(GpuPowerSample sample) {
    return ascii(
        new StringBuilder("{\"timestamp_ms\":")
            .append(sample.timestampMs())
            .append(",\"gpu_id\":")
            .append(sample.gpuId())
            .append(",\"power_mw\":")
            .append(sample.powerMw())
            .append('}'));
  }

  static byte[] gpuEnergy(Map<Integer, Long> energyMjById) {
    StringBuilder json = new StringBuilder("{");
    energyMjById.forEach(
        (id, energyMj) ->
            key(json, id)
                .append("{\"energy_mj\":")
                .append(Long.toUnsignedString(energyMj))
                .append('}'));
    return ascii(json.append('}'));
  }

  static byte[] gpuPowerLimits(Map<Integer, Long> limitMwById) {
    StringBuilder json = new StringBuilder("{");
    limitMwById.forEach(
        (id, limitMw) -> key(json, id).append("{\"power_limit_mw\":").append(limitMw).append('}'));
    return ascii(json.append('}'));
  }

  static byte[] gpuPowerLimitConstraints(Map<Integer, PowerLimitConstraints> constraintsById) {
    StringBuilder json = new StringBuilder("{");
    constraintsById.forEach(
        (id, constraints) ->
            key(json, id)
                .append("{\"min_power_limit_mw\":")
                .append(constraints.minPowerLimitMw())
                .append(",\"max_power_limit_mw\":")
                .append(constraints.maxPowerLimitMw())
                .append('}'));
    return ascii(json.append('}'));
  }

  static byte[] gpuPersistenceModes(Map<Integer, Boolean> enabledById) {
    StringBuilder json = new StringBuilder("{");
    enabledById.forEach(
        (id, enabled) -> key(json, id).append("{\"enabled\":").append(enabled).append('}'));
    return ascii(json.append('}'));
  }

  /** Begins the member of a device, after a comma unless it is the first. */
  private static StringBuilder key(StringBuilder json, int id) {
    boolean first = json.isEmpty() || json.charAt(json.length() - 1) == '{';
    return json.append(first ? "\"" : ",\"").append(id).append("\":");
  }

  private static byte[] bytes(JsonObject json) {
    return json.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] ascii(StringBuilder json) {
    return json.toString().getBytes(StandardCharsets.ISO_8859_1);
  }
}
