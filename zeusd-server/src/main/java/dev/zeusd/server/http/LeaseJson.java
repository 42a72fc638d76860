package dev.zeusd.server.http;

import static dev.zeusd.server.http.WireJson.bytes;
import static dev.zeusd.server.http.WireJson.json;

import dev.zeusd.core.settings.GpusByUuid;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseException;
import dev.zeusd.core.settings.LeaseInfo;
import dev.zeusd.core.settings.Restored;
import dev.zeusd.core.settings.Setting;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.core.settings.SettingValue.ClockRange;
import dev.zeusd.core.worker.DeviceWorker;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.JsonValue;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BiConsumer;

/** What clients see of leases. GPUs are shown by their ids, which requests know them by. */
public final class LeaseJson {
  /** What to do where a lease has ended. */
  static final String TAKE_ANOTHER = "; take another one with POST /lease";

  private final GpusByUuid gpus;

  /** With the ids of these GPUs. */
  LeaseJson(GpusByUuid gpus) {
    this.gpus = gpus;
  }

  byte[] taken(Lease lease, boolean crashSafe) {
    Map<Setting, SettingValue> saved = lease.saved();
    return bytes(
        json()
            .createObjectBuilder()
            .add("lease_id", lease.id())
            .add("epoch", lease.epoch())
            .add("expires_in_ms", lease.ttl().toMillis())
            .add("crash_safe", crashSafe)
            .add("saved", byGpu(saved, (object, entry) -> addValue(object, entry.getValue())))
            .build());
  }

  static byte[] renewed(Lease lease) {
    return bytes(
        json()
            .createObjectBuilder()
            .add("lease_id", lease.id())
            .add("epoch", lease.epoch())
            .add("expires_in_ms", lease.ttl().toMillis())
            .build());
  }

  byte[] ended(Lease lease, Map<Setting, Restored> results) {
    return bytes(
        json()
            .createObjectBuilder()
            .add("lease_id", lease.id())
            .add(
                "gpus",
                byGpu(
                    results,
                    (object, entry) -> {
                      JsonObjectBuilder result =
                          json()
                              .createObjectBuilder()
                              .add("result", entry.getValue().outcome().wireName());
                      if (!entry.getValue().problem().isEmpty()) {
                        result.add("error", entry.getValue().problem());
                      }
                      object.add(entry.getKey().key().wireName(), result);
                    }))
            .build());
  }

  byte[] list(List<LeaseInfo> infos) {
    JsonArrayBuilder leases = json().createArrayBuilder();
    infos.forEach(info -> leases.add(info(info)));
    return bytes(json().createObjectBuilder().add("leases", leases).build());
  }

  private JsonObjectBuilder info(LeaseInfo info) {
    JsonArrayBuilder ids = json().createArrayBuilder();
    info.settings().stream()
        .flatMap(setting -> gpus.find(setting.gpuUuid()).stream())
        .map(DeviceWorker::id)
        .distinct()
        .sorted()
        .forEach(ids::add);
    JsonArrayBuilder keys = json().createArrayBuilder();
    info.settings().stream().map(setting -> setting.key().wireName()).distinct().forEach(keys::add);
    JsonObjectBuilder json =
        json()
            .createObjectBuilder()
            .add("lease_id", info.id())
            .add("holder", info.holder())
            .add("gpu_ids", ids)
            .add("keys", keys)
            .add("expires_in_ms", info.expiresInMs())
            .add("state", info.state().wireName());
    info.process().ifPresent(process -> json.add("pid", process.pid()));
    if (!info.problems().isEmpty()) {
      json.add(
          "errors",
          byGpu(
              info.problems(),
              (object, entry) -> object.add(entry.getKey().key().wireName(), entry.getValue())));
    }
    return json;
  }

  static byte[] held(LeaseException.Held held) {
    return bytes(
        json()
            .createObjectBuilder()
            .add("error", held.getMessage())
            .add("holder", held.holder())
            .add("expires_in_ms", held.expiresInMs())
            .build());
  }

  /** An event of the stream that keeps a lease. */
  public static byte[] event(Lease lease, String state) {
    return bytes(
        json()
            .createObjectBuilder()
            .add("epoch", lease.epoch())
            .add("state", state)
            .add("ttl_ms", lease.ttl().toMillis())
            .build());
  }

  /** A GPU that is not there any more is shown by its UUID. */
  private <T> JsonObjectBuilder byGpu(
      Map<Setting, T> values, BiConsumer<JsonObjectBuilder, Map.Entry<Setting, T>> add) {
    Map<String, JsonObjectBuilder> objects = new TreeMap<>();
    for (Map.Entry<Setting, T> entry : values.entrySet()) {
      String uuid = entry.getKey().gpuUuid();
      String name = gpus.find(uuid).map(gpu -> Integer.toString(gpu.id())).orElse(uuid);
      add.accept(objects.computeIfAbsent(name, id -> json().createObjectBuilder()), entry);
    }
    JsonObjectBuilder json = json().createObjectBuilder();
    objects.forEach(json::add);
    return json;
  }

  /** A value by its name, such as {@code "power_limit_mw":250000}. */
  static void addValue(JsonObjectBuilder object, SettingValue value) {
    switch (value) {
      case SettingValue.PowerLimit(long powerLimitMw) -> object.add("power_limit_mw", powerLimitMw);
      case SettingValue.ModulePowerLimit(long powerLimitMw) ->
          object.add("module_power_limit_mw", powerLimitMw);
      case SettingValue.PersistenceMode(boolean enabled) -> object.add("persistence_mode", enabled);
      case SettingValue.GpuClocks(Optional<ClockRange> locked) ->
          object.add("gpu_clocks", clocks(locked));
      case SettingValue.MemClocks(Optional<ClockRange> locked) ->
          object.add("mem_clocks", clocks(locked));
    }
  }

  /** Null where the driver decides. */
  private static JsonValue clocks(Optional<ClockRange> locked) {
    return locked.isEmpty()
        ? JsonValue.NULL
        : json()
            .createObjectBuilder()
            .add("min_clock_mhz", locked.get().minClockMhz())
            .add("max_clock_mhz", locked.get().maxClockMhz())
            .build();
  }
}
