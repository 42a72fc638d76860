package dev.zeusd.cli;

import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.Lease;
import dev.zeusd.client.Lease.Restored.Outcome;
import dev.zeusd.client.LeaseRequest;
import dev.zeusd.client.SettingKey;
import dev.zeusd.client.ZeusdClient;
import dev.zeusd.client.ZeusdException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code zeusd run}: a command, its energy, and settings for as long as it runs. */
@Command(
    name = "run",
    description = {
      "Run a command and report the energy of all devices meanwhile; needs a daemon, but not root",
      "",
      "Settings hold for as long as the command runs, and are put back however it ends."
    },
    exitCodeListHeading = "%nExit status:%n",
    exitCodeList = {
      "0-255:the command's; 128 + N if signal N ended it",
      "2:wrong usage",
      "125:no daemon answers, or it refuses; the command was not started",
      "126:the command cannot be executed",
      "127:the command is not found"
    },
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class,
    sortOptions = false)
final class RunCommand implements Callable<Integer> {
  private static final int NOT_RUN = 125;
  private static final int SIGNALLED = 128;
  private static final int LONGEST_NAME = 100;

  /** Until settings come back where even SIGKILL has ended this process. */
  private static final Duration TTL = Duration.ofSeconds(10);

  @Spec private CommandSpec spec;

  @Option(
      names = "--gpus",
      paramLabel = "<ID>[,<ID>...]",
      converter = Converters.DeviceIds.class,
      description = "The GPUs to measure, and to set [default: all]")
  private List<Integer> gpuIds = List.of();

  @Option(
      names = "--power-limit",
      paramLabel = "<POWER>",
      converter = Converters.PowerMw.class,
      description = "Their power limit while the command runs: 250W, 0.25kW or 250000mW")
  private Long powerLimitMw;

  @Option(
      names = "--gpu-clocks",
      paramLabel = "<MIN>-<MAX>",
      converter = ClockRange.Converter.class,
      description = "Their clocks while the command runs, in MHz: 900-1400, or 1400 for both")
  private ClockRange gpuClocks;

  @Option(
      names = "--json",
      paramLabel = "<FILE>",
      converter = Converters.FilePath.class,
      description = "Write the report to this file as well, as JSON")
  private Path json;

  @Mixin private DaemonOptions daemon;

  @Parameters(
      arity = "1..*",
      paramLabel = "COMMAND",
      description =
          "The command and its arguments; put two hyphens before one that begins with a hyphen")
  private List<String> command;

  /** Once it has been taken, if settings are wanted. */
  private Optional<Lease> lease = Optional.empty();

  private boolean daemonIsSilent;

  @Override
  public Integer call() throws InterruptedException {
    Logging.setUp(Logging.LogLevel.ERROR);
    ForwardedSignals signals = ForwardedSignals.begin();
    ClientConfig config = daemon.one();
    try (ZeusdClient client = ZeusdClient.open(config);
        JsonFile file = JsonFile.open(Optional.ofNullable(json))) {
      try (CommandEnergy meter = new CommandEnergy(config, client, gpuIds)) {
        setForAWhile(client, meter.gpuIds());
        meter.begin(nameOfProgram());
        return run(signals, meter, file);
      } finally {
        endLease();
      }
    } catch (ZeusdException | StartupException e) {
      return refused(e.getMessage());
    } catch (IOException e) {
      return refused(JsonFile.reason(e));
    }
  }

  /** What the window is called: of a file name, as much as a name may have. */
  private String nameOfProgram() {
    String path = Logging.harmless(command.getFirst());
    String name = path.substring(path.lastIndexOf('/') + 1);
    return name.length() > LONGEST_NAME ? name.substring(0, LONGEST_NAME) : name;
  }

  private int run(ForwardedSignals signals, CommandEnergy meter, JsonFile file)
      throws InterruptedException {
    if (signals.received().isPresent()) {
      return SIGNALLED + signals.received().getAsInt();
    }
    Process process;
    try {
      process = CommandProcess.start(command);
    } catch (CommandProcess.NotStarted e) {
      tell(Zeusd.error(e.getMessage()));
      return e.status();
    }
    signals.to(process);
    meter.watch(this::prepareReport);
    int status = process.waitFor();
    RunReport report = new RunReport(command, status, meter.end());
    daemonIsSilent = meter.isDaemonSilent();
    tell(report.text());
    try {
      file.write(report.json());
    } catch (IOException e) {
      tell(Zeusd.error("the report is not in " + json + ": " + JsonFile.reason(e)));
    }
    return status;
  }

  /** Loads all that writes a report while the command runs, instead of when it has ended. */
  private void prepareReport(CommandEnergy.Measured nothing) {
    RunReport report = new RunReport(command, 0, nothing);
    report.text();
    if (json != null) {
      report.json();
    }
  }

  private void setForAWhile(ZeusdClient client, List<Integer> ids) {
    Set<SettingKey> keys = EnumSet.noneOf(SettingKey.class);
    if (powerLimitMw != null) {
      keys.add(SettingKey.POWER_LIMIT);
    }
    if (gpuClocks != null) {
      keys.add(SettingKey.GPU_CLOCKS);
    }
    if (keys.isEmpty()) {
      return;
    }
    if (ids.isEmpty()) {
      throw new StartupException("zeusd at " + client.endpoint() + " has no GPUs to set");
    }
    Lease taken = client.lease(LeaseRequest.of(ids, keys).withTtl(TTL));
    // From here on it has to be ended, also if a setting is refused.
    lease = Optional.of(taken);
    if (powerLimitMw != null) {
      taken.settings().setPowerLimit(ids, powerLimitMw);
    }
    if (gpuClocks != null) {
      taken.settings().lockGpuClocks(ids, gpuClocks.minMhz(), gpuClocks.maxMhz());
    }
  }

  /** Says what has not come back. */
  private void endLease() {
    if (lease.isEmpty()) {
      return;
    }
    if (daemonIsSilent) {
      tellNotPutBack("it does not answer");
      return;
    }
    try {
      for (Lease.Restored each : lease.get().end()) {
        if (each.outcome() != Outcome.RESTORED && each.outcome() != Outcome.UNCHANGED) {
          tell(
              "zeusd run: %s of GPU %s is %s%s"
                  .formatted(
                      each.settingKeyName(),
                      each.gpu(),
                      each.outcomeName(),
                      each.problem().map(why -> ": " + why).orElse("")));
        }
      }
    } catch (ZeusdException e) {
      tellNotPutBack(e.getMessage());
    }
  }

  private void tellNotPutBack(String why) {
    tell(
        Zeusd.error(
            "settings were not put back from here; zeusd does so within "
                + TTL.toSeconds()
                + " s, or of its next start: "
                + why));
  }

  private int refused(String why) {
    tell(Zeusd.error(why));
    return NOT_RUN;
  }

  private void tell(String text) {
    PrintWriter err = spec.commandLine().getErr();
    err.println(text);
    err.flush();
  }
}
