package dev.zeusd.cli;

import dev.zeusd.client.EnergyWindowInfo;
import dev.zeusd.client.WindowEnergy;
import dev.zeusd.client.ZeusdClient;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.spi.JsonProvider;
import java.io.PrintWriter;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code zeusd energy}: windows that a job's prolog begins and its epilog ends. */
@Command(
    name = "energy",
    description = "Measure the energy between two moments, such as that of a batch job",
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class,
    subcommands = HelpOfCommand.class)
final class EnergyCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "a command is missing: " + Zeusd.subcommands(spec.commandLine()));
  }

  @Command(
      name = "begin",
      description = "Begin to measure; print the id of the energy window, and nothing else",
      mixinStandardHelpOptions = true,
      versionProvider = Zeusd.Version.class,
      sortOptions = false)
  int begin(
      @Option(
              names = "--name",
              paramLabel = "<NAME>",
              defaultValue = "",
              description = "A name for people to read")
          String name,
      @Option(
              names = "--gpus",
              paramLabel = "<ID>[,<ID>...]",
              converter = Converters.DeviceIds.class,
              description = "The GPUs to measure [default: all]")
          List<Integer> gpuIds,
      @Option(
              names = "--forget-after",
              paramLabel = "<DURATION>",
              defaultValue = "7d",
              converter = DurationOrNever.Converter.class,
              description =
                  "When the daemon drops the window if nobody ends it, 30d at most [default:"
                      + " ${DEFAULT-VALUE}]")
          DurationOrNever forgetAfter,
      @Mixin DaemonOptions daemon) {
    Logging.setUp(Logging.LogLevel.ERROR);
    if (forgetAfter.duration().isEmpty()) {
      throw new ParameterException(spec.commandLine(), "--forget-after is 30d at most");
    }
    try (ZeusdClient client = ZeusdClient.open(daemon.one())) {
      print(
          client.beginEnergyWindow(
              name, gpuIds == null ? List.of() : gpuIds, List.of(), forgetAfter.duration().get()));
    }
    return 0;
  }

  @Command(
      name = "end",
      description = "End an energy window, and print what it has measured",
      mixinStandardHelpOptions = true,
      versionProvider = Zeusd.Version.class,
      sortOptions = false)
  int end(
      @Parameters(paramLabel = "ID", description = "The id that begin printed") String windowId,
      @Option(names = "--json", description = "Print JSON") boolean json,
      @Mixin DaemonOptions daemon) {
    return tell(windowId, json, daemon, true);
  }

  @Command(
      name = "show",
      description = "Print what an energy window has measured so far",
      mixinStandardHelpOptions = true,
      versionProvider = Zeusd.Version.class,
      sortOptions = false)
  int show(
      @Parameters(paramLabel = "ID", description = "The id that begin printed") String windowId,
      @Option(names = "--json", description = "Print JSON") boolean json,
      @Mixin DaemonOptions daemon) {
    return tell(windowId, json, daemon, false);
  }

  @Command(
      name = "list",
      description = "List the open energy windows: your own, or all of them for an admin",
      mixinStandardHelpOptions = true,
      versionProvider = Zeusd.Version.class,
      sortOptions = false)
  int list(@Mixin DaemonOptions daemon) {
    Logging.setUp(Logging.LogLevel.ERROR);
    try (ZeusdClient client = ZeusdClient.open(daemon.one())) {
      List<String> lines = new ArrayList<>();
      lines.add(line("ID", "BEGUN", "GPUS", "CPUS", "OWNER", "NAME"));
      for (EnergyWindowInfo window : client.energyWindows()) {
        lines.add(
            line(
                window.id(),
                Instant.ofEpochMilli(window.startedMs()).truncatedTo(ChronoUnit.SECONDS),
                ids(window.gpuIds()),
                ids(window.cpuIds()),
                Logging.harmless(window.owner()),
                Logging.harmless(window.name())));
      }
      print(String.join(System.lineSeparator(), lines));
    }
    return 0;
  }

  private static String line(Object... values) {
    return String.format(Locale.ROOT, "%-32s  %-20s  %-11s  %-5s  %-20s  %s", values).strip();
  }

  private static String ids(List<Integer> ids) {
    return ids.isEmpty() ? "-" : ids.stream().map(String::valueOf).collect(Collectors.joining(","));
  }

  private int tell(String windowId, boolean json, DaemonOptions daemon, boolean isEnd) {
    Logging.setUp(Logging.LogLevel.ERROR);
    try (ZeusdClient client = ZeusdClient.open(daemon.one())) {
      // First, so that the window is not ended yet should this fail.
      var discovery = client.discover();
      WindowEnergy energy = isEnd ? client.endEnergyWindow(windowId) : client.energySoFar(windowId);
      EnergyTable table = new EnergyTable(energy, discovery);
      if (json) {
        JsonProvider provider = JsonProvider.provider();
        JsonObjectBuilder object = provider.createObjectBuilder().add("name", energy.name());
        table.addTo(object, provider);
        print(object.build().toString());
      } else {
        print(
            table.text() + String.format(Locale.ROOT, "%n%,14.3f s", EnergyTable.seconds(energy)));
      }
    }
    return 0;
  }

  private void print(String text) {
    PrintWriter out = spec.root().commandLine().getOut();
    out.println(text);
    out.flush();
  }
}
