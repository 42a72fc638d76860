package dev.zeusd.cli;

import dev.zeusd.client.ClientConfig;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code zeusd top}: what the devices of one or more daemons are doing, live. */
@Command(
    name = "top",
    description = {
      "Show power, limits, energy, clocks and leases of all devices, live",
      "",
      "Keys: q quits; p, e, u and d sort by power, energy, utilisation or device."
    },
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class,
    sortOptions = false)
final class TopCommand implements Callable<Integer> {
  private static final int FAILED = 1;

  @Spec private CommandSpec spec;

  @Option(
      names = "--interval",
      paramLabel = "<SECONDS>",
      defaultValue = "1",
      converter = Converters.Seconds.class,
      description = "Seconds between two readings [default: ${DEFAULT-VALUE}]")
  private int intervalSeconds;

  @Option(names = "--once", description = "Print one table and exit; for scripts")
  private boolean once;

  @Option(
      names = "--json",
      description =
          "Print a line of JSON for each interval instead of a table; with --once, one line")
  private boolean json;

  @Mixin private DaemonOptions daemon;

  @Override
  public Integer call() throws InterruptedException, IOException {
    Logging.setUp(Logging.LogLevel.ERROR);
    List<ClientConfig> configs = daemon.all();
    if (once || json) {
      return print(configs);
    }
    if (System.console() == null || !System.console().isTerminal()) {
      throw new ParameterException(
          spec.commandLine(), "stdin and stdout are no terminal; use --once or --json");
    }
    try (Watches watches = Watches.start(configs, intervalSeconds)) {
      TopScreen.show(watches);
    }
    return 0;
  }

  private int print(List<ClientConfig> configs) throws InterruptedException {
    PrintWriter out = spec.commandLine().getOut();
    try (Watches watches = Watches.start(configs, intervalSeconds)) {
      List<DaemonState> states = watches.awaitFirst();
      do {
        out.println(json ? TopJson.of(states) : TopTable.plain(states));
        out.flush();
        if (once || out.checkError()) {
          break;
        }
        Thread.sleep(intervalSeconds * 1000L);
        states = watches.states();
      } while (true);
      for (DaemonState state : states) {
        state.problem().ifPresent(why -> spec.commandLine().getErr().println(Zeusd.error(why)));
      }
      return states.stream().allMatch(state -> state.problem().isPresent()) ? FAILED : 0;
    }
  }
}
