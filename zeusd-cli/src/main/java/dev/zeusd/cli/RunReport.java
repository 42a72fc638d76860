package dev.zeusd.cli;

import dev.zeusd.client.Discovery;
import dev.zeusd.client.EnergyReport;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.spi.JsonProvider;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What {@code zeusd run} says at its end.
 *
 * @param command what was run
 * @param status with which it ended
 * @param measured what it took
 */
record RunReport(List<String> command, int status, EnergyMeter.Measured measured) {
  private static final double MJ_PER_J = 1e3;
  private static final double UJ_PER_J = 1e6;

  /** For people. */
  String text() {
    StringBuilder text = new StringBuilder();
    String shown = Logging.harmless(String.join(" ", command));
    line(text, "");
    line(text, " Energy of '%s':", shown.length() > 60 ? shown.substring(0, 59) + "…" : shown);
    line(text, "");
    if (measured.energy().isPresent()) {
      addEnergy(text, measured.energy().get());
      line(text, "");
    }
    if (measured.lost().isPresent()) {
      String until =
          measured
              .energy()
              .map(energy -> String.format(Locale.ROOT, "only the first %.1f s", energy.seconds()))
              .orElse("nothing");
      line(text, " %s could be measured: %s", until, measured.lost().get());
      line(text, "");
    }
    text.append(String.format(Locale.ROOT, "%,14.3f s elapsed", measured.seconds()));
    text.append(status == 0 ? "" : ", exit status " + status);
    return text.append(System.lineSeparator()).toString();
  }

  private void addEnergy(StringBuilder text, EnergyReport energy) {
    double seconds = energy.seconds();
    energy
        .gpus()
        .values()
        .forEach(
            (id, gpu) ->
                row(
                    text,
                    gpu.energyMj() / MJ_PER_J,
                    seconds,
                    "GPU " + id + "  " + name(id) + note(gpu)));
    energy
        .cpus()
        .values()
        .forEach(
            (id, cpu) -> {
              row(
                  text,
                  cpu.cpuEnergyUj() / UJ_PER_J,
                  seconds,
                  "CPU " + id + missing(cpu.missingMs()));
              if (cpu.dramEnergyUj().isPresent()) {
                row(text, cpu.dramEnergyUj().getAsLong() / UJ_PER_J, seconds, "DRAM " + id);
              }
            });
    row(text, energy.totalJ(), seconds, "in all");
    energy
        .gpus()
        .errors()
        .forEach((id, why) -> line(text, " GPU %d was not measured: %s", id, why));
    energy
        .cpus()
        .errors()
        .forEach((id, why) -> line(text, " CPU %d was not measured: %s", id, why));
  }

  private static void row(StringBuilder text, double joules, double seconds, String what) {
    double watts = seconds > 0 ? joules / seconds : 0;
    line(text, "%,14.2f J  %,12.2f W   %s", joules, watts, what);
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format, values)).append(System.lineSeparator());
  }

  private String name(int id) {
    return measured.discovery().gpus().stream()
        .filter(gpu -> gpu.id() == id)
        .map(Discovery.Gpu::name)
        .findFirst()
        .orElse("");
  }

  private static String note(EnergyReport.Gpu gpu) {
    String how = gpu.method().equals("counter") ? "" : " (sum of its power)";
    return how + missing(gpu.missingMs());
  }

  private static String missing(long missingMs) {
    return missingMs == 0
        ? ""
        : String.format(Locale.ROOT, " (%.1f s of it not measured)", missingMs / 1e3);
  }

  /** For programs. */
  String json() {
    JsonProvider json = JsonProvider.provider();
    JsonArrayBuilder words = json.createArrayBuilder(command);
    JsonObjectBuilder report =
        json.createObjectBuilder()
            .add("command", words)
            .add("exit_status", status)
            .add("seconds", toMicros(measured.seconds()));
    measured.lost().ifPresent(why -> report.add("error", why));
    Optional<EnergyReport> energy = measured.energy();
    if (energy.isPresent()) {
      addEnergy(json, report, energy.get());
    }
    return report.build().toString();
  }

  private void addEnergy(JsonProvider json, JsonObjectBuilder report, EnergyReport energy) {
    report
        .add("started_ms", energy.startedMs())
        .add("measured_seconds", toMicros(energy.seconds()));
    JsonObjectBuilder gpus = json.createObjectBuilder();
    energy
        .gpus()
        .values()
        .forEach(
            (id, gpu) ->
                gpus.add(
                    id.toString(),
                    json.createObjectBuilder()
                        .add("name", name(id))
                        .add("energy_mj", gpu.energyMj())
                        .add("mean_power_mw", meanMw(gpu.energyMj(), energy))
                        .add("method", gpu.method())
                        .add("gap_ms", gpu.gapMs())
                        .add("missing_ms", gpu.missingMs())));
    JsonObjectBuilder cpus = json.createObjectBuilder();
    energy.cpus().values().forEach((id, cpu) -> cpus.add(id.toString(), cpu(json, cpu, energy)));
    JsonObjectBuilder errors = json.createObjectBuilder();
    energy.gpus().errors().forEach((id, why) -> errors.add("GPU " + id, why));
    energy.cpus().errors().forEach((id, why) -> errors.add("CPU " + id, why));
    report
        .add("gpus", gpus)
        .add("cpus", cpus)
        .add("errors", errors)
        .add("total_j", toMicros(energy.totalJ()))
        .add("mean_power_w", toMicros(energy.totalJ() / energy.seconds()));
  }

  private static JsonObjectBuilder cpu(
      JsonProvider json, EnergyReport.Cpu cpu, EnergyReport energy) {
    JsonObjectBuilder object =
        json.createObjectBuilder()
            .add("cpu_energy_uj", cpu.cpuEnergyUj())
            .add("mean_cpu_mw", meanMw(cpu.cpuEnergyUj() / 1000, energy));
    OptionalLong dramUj = cpu.dramEnergyUj();
    if (dramUj.isPresent()) {
      object
          .add("dram_energy_uj", dramUj.getAsLong())
          .add("mean_dram_mw", meanMw(dramUj.getAsLong() / 1000, energy));
    } else {
      object.addNull("dram_energy_uj").addNull("mean_dram_mw");
    }
    return object.add("missing_ms", cpu.missingMs());
  }

  private static long meanMw(long energyMj, EnergyReport energy) {
    return Math.round(energyMj / energy.seconds());
  }

  private static double toMicros(double value) {
    return Math.round(value * 1e6) / 1e6;
  }
}
