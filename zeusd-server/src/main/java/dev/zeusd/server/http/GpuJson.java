package dev.zeusd.server.http;

import static dev.zeusd.server.http.WireJson.json;
import static dev.zeusd.server.http.WireJson.key;
import static dev.zeusd.server.http.WireJson.orNull;

import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.MigInstance;
import dev.zeusd.core.device.PowerScope;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.JsonValue;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** JSON of what a GPU is and how it is doing, its instances included. */
final class GpuJson {
  private GpuJson() {}

  /** What the driver does not tell is null. */
  static JsonObjectBuilder gpu(DiscoveryService.KnownGpu known) {
    GpuInfo gpu = known.info();
    JsonObjectBuilder json =
        json().createObjectBuilder().add("id", gpu.id()).add("name", gpu.name());
    json.add("vendor", orNull(known.vendor().map(json()::createValue)));
    json.add("uuid", orNull(gpu.uuid().map(json()::createValue)));
    json.add("pci_address", orNull(gpu.pciAddress().map(json()::createValue)));
    json.add(
        "cumulative_energy_available",
        orNull(gpu.cumulativeEnergyAvailable().map(has -> has ? JsonValue.TRUE : JsonValue.FALSE)));
    if (gpu.powerScope() == PowerScope.MODULE) {
      json.add("power_scope", "module");
    }
    known
        .instances()
        .ifPresent(
            instances -> {
              JsonArrayBuilder all = json().createArrayBuilder();
              instances.forEach(instance -> all.add(instance(instance)));
              json.add("mig_instances", all);
            });
    return json;
  }

  private static JsonObjectBuilder instance(MigInstance instance) {
    return json()
        .createObjectBuilder()
        .add("index", instance.index())
        .add("name", orNull(instance.name().map(json()::createValue)))
        .add("uuid", orNull(instance.uuid().map(json()::createValue)))
        .add("gpu_instance_id", id(instance.gpuInstanceId()))
        .add("compute_instance_id", id(instance.computeInstanceId()));
  }

  private static JsonValue id(Optional<Long> id) {
    return orNull(id.map(it -> json().createValue(it.longValue())));
  }

  static byte[] telemetry(Map<Integer, GpuTelemetry> telemetryById) {
    StringBuilder json = new StringBuilder("{");
    telemetryById.forEach(
        (id, telemetry) -> {
          key(json, id).append('{');
          readings(json, telemetry);
          telemetry.migInstances().ifPresent(instances -> instances(json, instances));
          json.append('}');
        });
    return json.append('}').toString().getBytes(StandardCharsets.UTF_8);
  }

  private static void readings(StringBuilder json, GpuTelemetry telemetry) {
    for (GpuTelemetry.Reading reading : GpuTelemetry.Reading.values()) {
      json.append('"').append(reading.wireName()).append("\":");
      orNull(json, telemetry.get(reading)).append(',');
    }
    json.append("\"throttle_reasons\":").append(throttleReasons(telemetry));
  }

  /** All that a whole GPU may tell, so that nobody has to ask what is missing. */
  private static void instances(StringBuilder json, List<GpuTelemetry.OfInstance> instances) {
    json.append(",\"mig_instances\":[");
    String comma = "";
    for (GpuTelemetry.OfInstance each : instances) {
      String facts = instance(each.instance()).build().toString();
      json.append(comma).append(facts, 0, facts.length() - 1).append(',');
      readings(json, each.telemetry());
      json.append('}');
      comma = ",";
    }
    json.append(']');
  }

  private static String throttleReasons(GpuTelemetry telemetry) {
    return telemetry
        .throttleReasons()
        .map(
            reasons ->
                reasons.stream()
                    .map(reason -> '"' + reason.wireName() + '"')
                    .collect(Collectors.joining(",", "[", "]")))
        .orElse("null");
  }
}
