package dev.zeusd.server.http;

import static dev.zeusd.server.http.WireJson.bytes;
import static dev.zeusd.server.http.WireJson.json;

import dev.zeusd.core.energy.EnergyWindow;
import dev.zeusd.core.energy.WindowEnergy;
import dev.zeusd.core.energy.WindowEnergy.OfCpu;
import dev.zeusd.core.energy.WindowEnergy.OfGpu;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.JsonValue;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.Function;

/** What clients see of energy windows. */
final class EnergyJson {
  private static final double MICROS = 1e6;

  private EnergyJson() {}

  static byte[] begun(EnergyWindow window, boolean crashSafe) {
    return bytes(
        json()
            .createObjectBuilder()
            .add("window_id", window.id())
            .add("started_ms", window.startedMs())
            .add("expires_in_ms", window.expiresIn().toMillis())
            .add("crash_safe", crashSafe)
            .build());
  }

  static byte[] list(List<EnergyWindow> windows) {
    JsonArrayBuilder all = json().createArrayBuilder();
    for (EnergyWindow window : windows) {
      all.add(
          json()
              .createObjectBuilder()
              .add("window_id", window.id())
              .add("name", window.name())
              .add("owner", window.owner())
              .add("gpu_ids", ids(window.gpuIds()))
              .add("cpu_ids", ids(window.cpuIds()))
              .add("started_ms", window.startedMs())
              .add("expires_in_ms", window.expiresIn().toMillis()));
    }
    return bytes(json().createObjectBuilder().add("windows", all).build());
  }

  private static JsonArrayBuilder ids(Collection<Integer> ids) {
    return json().createArrayBuilder(ids);
  }

  static byte[] energy(WindowEnergy energy) {
    JsonObjectBuilder json =
        json()
            .createObjectBuilder()
            .add("name", energy.name())
            .add("started_ms", energy.startedMs())
            .add("seconds", toMicros(energy.elapsed().toNanos() / 1e9))
            .add("gpus", byId(energy.gpus(), EnergyJson::gpu))
            .add("cpus", byId(energy.cpus(), EnergyJson::cpu))
            .add("total_j", toMicros(energy.totalJoules()));
    if (!energy.gpuProblems().isEmpty() || !energy.cpuProblems().isEmpty()) {
      json.add(
          "errors",
          json()
              .createObjectBuilder()
              .add("gpus", byId(energy.gpuProblems(), text -> json().createValue(text)))
              .add("cpus", byId(energy.cpuProblems(), text -> json().createValue(text))));
    }
    return bytes(json.build());
  }

  private static double toMicros(double value) {
    return Math.round(value * MICROS) / MICROS;
  }

  private static <T> JsonObjectBuilder byId(Map<Integer, T> values, Function<T, JsonValue> form) {
    JsonObjectBuilder json = json().createObjectBuilder();
    values.forEach((id, value) -> json.add(id.toString(), form.apply(value)));
    return json;
  }

  private static JsonValue gpu(OfGpu gpu) {
    return json()
        .createObjectBuilder()
        .add("energy_mj", gpu.energyMj())
        .add("method", gpu.method().name().toLowerCase(Locale.ROOT))
        .add("gap_ms", gpu.gapMs())
        .add("missing_ms", gpu.missingMs())
        .build();
  }

  private static JsonValue cpu(OfCpu cpu) {
    return json()
        .createObjectBuilder()
        .add("cpu_energy_uj", cpu.cpuEnergyUj())
        .add("dram_energy_uj", orNull(cpu.dramEnergyUj()))
        .add("gap_ms", cpu.gapMs())
        .add("missing_ms", cpu.missingMs())
        .build();
  }

  private static JsonValue orNull(OptionalLong value) {
    return value.isPresent() ? json().createValue(value.getAsLong()) : JsonValue.NULL;
  }
}
