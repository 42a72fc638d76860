package dev.zeusd.cli;

import dev.zeusd.client.Discovery;
import dev.zeusd.client.WindowEnergy;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.spi.JsonProvider;
import java.util.Locale;
import java.util.OptionalLong;

/**
 * The energy of a window, for people and for programs.
 *
 * @param energy what was measured
 * @param discovery the daemon's devices, for their names
 */
record EnergyTable(WindowEnergy energy, Discovery discovery) {
  private static final double MJ_PER_J = 1e3;
  private static final double UJ_PER_J = 1e6;
  private static final double UJ_PER_MJ = 1e3;

  /** How long a window took, in s. */
  static double seconds(WindowEnergy energy) {
    return energy.elapsed().toNanos() / 1e9;
  }

  /** Lines of joules and mean watts: for each device, and in all. */
  String text() {
    StringBuilder text = new StringBuilder();
    energy
        .gpus()
        .values()
        .forEach(
            (id, gpu) ->
                row(text, gpu.energyMj() / MJ_PER_J, "GPU " + id + "  " + name(id) + note(gpu)));
    energy
        .cpus()
        .values()
        .forEach(
            (id, cpu) -> {
              row(text, cpu.cpuEnergyUj() / UJ_PER_J, "CPU " + id + missing(cpu.missingMs()));
              if (cpu.dramEnergyUj().isPresent()) {
                row(text, cpu.dramEnergyUj().getAsLong() / UJ_PER_J, "DRAM " + id);
              }
            });
    row(text, energy.totalJoules(), "in all");
    energy
        .gpus()
        .errors()
        .forEach(
            (id, why) -> line(text, " GPU %d was not measured: %s", id, Logging.harmless(why)));
    energy
        .cpus()
        .errors()
        .forEach(
            (id, why) -> line(text, " CPU %d was not measured: %s", id, Logging.harmless(why)));
    return text.toString();
  }

  private void row(StringBuilder text, double joules, String what) {
    double watts = seconds(energy) > 0 ? joules / seconds(energy) : 0;
    line(text, "%,14.2f J  %,12.2f W   %s", joules, watts, what);
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format, values)).append(System.lineSeparator());
  }

  private String name(int id) {
    return discovery.gpus().stream()
        .filter(gpu -> gpu.id() == id)
        .map(gpu -> Logging.harmless(gpu.name()))
        .findFirst()
        .orElse("");
  }

  private static String note(WindowEnergy.OfGpu gpu) {
    String how = gpu.method() == WindowEnergy.Method.COUNTER ? "" : " (sum of its power)";
    return how + missing(gpu.missingMs());
  }

  private static String missing(long missingMs) {
    return missingMs == 0
        ? ""
        : String.format(Locale.ROOT, " (%.1f s of it not measured)", missingMs / 1e3);
  }

  /** Adds its members. */
  void addTo(JsonObjectBuilder report, JsonProvider json) {
    JsonObjectBuilder gpus = json.createObjectBuilder();
    energy.gpus().values().forEach((id, gpu) -> gpus.add(id.toString(), gpu(json, id, gpu)));
    JsonObjectBuilder cpus = json.createObjectBuilder();
    energy.cpus().values().forEach((id, cpu) -> cpus.add(id.toString(), cpu(json, cpu)));
    JsonObjectBuilder errors = json.createObjectBuilder();
    energy.gpus().errors().forEach((id, why) -> errors.add("GPU " + id, why));
    energy.cpus().errors().forEach((id, why) -> errors.add("CPU " + id, why));
    report
        .add("started_ms", energy.startedMs())
        .add("measured_seconds", toMicros(seconds(energy)))
        .add("gpus", gpus)
        .add("cpus", cpus)
        .add("errors", errors)
        .add("total_j", toMicros(energy.totalJoules()))
        .add(
            "mean_power_w",
            toMicros(seconds(energy) > 0 ? energy.totalJoules() / seconds(energy) : 0));
  }

  private JsonObjectBuilder gpu(JsonProvider json, int id, WindowEnergy.OfGpu gpu) {
    return json.createObjectBuilder()
        .add("name", name(id))
        .add("energy_mj", gpu.energyMj())
        .add("mean_power_mw", meanMw(gpu.energyMj()))
        .add("method", gpu.methodName())
        .add("gap_ms", gpu.gapMs())
        .add("missing_ms", gpu.missingMs());
  }

  private JsonObjectBuilder cpu(JsonProvider json, WindowEnergy.OfCpu cpu) {
    JsonObjectBuilder object =
        json.createObjectBuilder()
            .add("cpu_energy_uj", cpu.cpuEnergyUj())
            .add("mean_cpu_mw", meanMw(cpu.cpuEnergyUj() / UJ_PER_MJ));
    OptionalLong dramUj = cpu.dramEnergyUj();
    if (dramUj.isPresent()) {
      object
          .add("dram_energy_uj", dramUj.getAsLong())
          .add("mean_dram_mw", meanMw(dramUj.getAsLong() / UJ_PER_MJ));
    } else {
      object.addNull("dram_energy_uj").addNull("mean_dram_mw");
    }
    return object.add("gap_ms", cpu.gapMs()).add("missing_ms", cpu.missingMs());
  }

  private long meanMw(double energyMj) {
    return seconds(energy) > 0 ? Math.round(energyMj / seconds(energy)) : 0;
  }

  static double toMicros(double value) {
    return Math.round(value * 1e6) / 1e6;
  }
}
