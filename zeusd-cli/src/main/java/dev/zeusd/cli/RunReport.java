package dev.zeusd.cli;

import dev.zeusd.client.WindowEnergy;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.spi.JsonProvider;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What {@code zeusd run} says at its end.
 *
 * @param command what was run
 * @param status with which it ended
 * @param measured what it took
 */
record RunReport(List<String> command, int status, CommandEnergy.Measured measured) {
  private static final int MOST_SHOWN = 60;

  /** For people. */
  String text() {
    String shown = Logging.harmless(String.join(" ", command));
    if (shown.length() > MOST_SHOWN) {
      shown = shown.substring(0, MOST_SHOWN - 1) + "…";
    }
    StringBuilder text = new StringBuilder("\n Energy of '" + shown + "':\n\n");
    table().ifPresent(table -> text.append(table.text()).append('\n'));
    if (measured.lost().isPresent()) {
      String known =
          measured
              .energy()
              .map(
                  energy ->
                      String.format(
                          Locale.ROOT, "only the first %.1f s", EnergyTable.seconds(energy)))
              .orElse("nothing");
      text.append(' ').append(known).append(" could be measured: ");
      text.append(measured.lost().get()).append("\n\n");
    }
    text.append(String.format(Locale.ROOT, "%,14.3f s elapsed", measured.seconds()));
    return text.append(status == 0 ? "" : ", exit status " + status).append('\n').toString();
  }

  private Optional<EnergyTable> table() {
    Optional<WindowEnergy> energy = measured.energy();
    return energy.map(each -> new EnergyTable(each, measured.discovery()));
  }

  /** For programs. */
  String json() {
    JsonProvider json = JsonProvider.provider();
    JsonObjectBuilder report =
        json.createObjectBuilder()
            .add("command", json.createArrayBuilder(command))
            .add("exit_status", status)
            .add("seconds", EnergyTable.toMicros(measured.seconds()));
    measured.lost().ifPresent(why -> report.add("error", why));
    table().ifPresent(table -> table.addTo(report, json));
    return report.build().toString();
  }
}
