package dev.zeusd.cli;

import dev.zeusd.cli.DaemonState.Device;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.JsonValue;
import jakarta.json.spi.JsonProvider;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/** What {@code zeusd top --json} prints: one object a line. */
final class TopJson {
  private static final JsonProvider JSON = JsonProvider.provider();

  private TopJson() {}

  static String of(List<DaemonState> states) {
    JsonArrayBuilder daemons = JSON.createArrayBuilder();
    for (DaemonState state : states) {
      JsonArrayBuilder devices = JSON.createArrayBuilder();
      state.devices().forEach(each -> devices.add(device(each)));
      JsonObjectBuilder daemon =
          JSON.createObjectBuilder().add("daemon", state.daemon()).add("devices", devices);
      state.problem().ifPresent(why -> daemon.add("error", why));
      daemons.add(daemon);
    }
    return JSON.createObjectBuilder()
        .add("timestamp_ms", System.currentTimeMillis())
        .add("daemons", daemons)
        .build()
        .toString();
  }

  private static JsonObjectBuilder device(Device device) {
    return JSON.createObjectBuilder()
        .add("kind", device.kind().name().toLowerCase(Locale.ROOT))
        .add("id", device.id())
        .add("name", device.name())
        .add("power_w", orNull(device.powerW()))
        .add("power_limit_w", orNull(device.limitW()))
        .add("energy_j", orNull(device.energyJ()))
        .add("sm_clock_mhz", orNull(device.clockMhz()))
        .add("temperature_c", orNull(device.temperatureC()))
        .add("gpu_utilization_pct", orNull(device.utilizationPct()))
        .add(
            "lease_holder",
            device.holder().isEmpty() ? JsonValue.NULL : JSON.createValue(device.holder()));
  }

  private static JsonValue orNull(OptionalDouble value) {
    return value.isPresent() ? JSON.createValue(value.getAsDouble()) : JsonValue.NULL;
  }

  private static JsonValue orNull(OptionalInt value) {
    return value.isPresent() ? JSON.createValue(value.getAsInt()) : JsonValue.NULL;
  }
}
