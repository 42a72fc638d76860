package dev.zeusd.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * {@code zeusd-bench/run compare}: measures daemons side by side and prints a table in Markdown.
 */
@Command(
    name = "zeusd-bench/run compare",
    sortOptions = false,
    usageHelpAutoWidth = true,
    description = {
      "Measures daemon A, and daemon B if there is one, on the same fake GPUs, in turns A B A B,"
          + " and prints a table of medians, with the least and the greatest of the turns.",
      "The rows set-power-limit and slow-driver need root, as daemons do that change GPU settings."
    })
final class Compare implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--a",
      paramLabel = "EXECUTABLE",
      required = true,
      description = "daemon A (if left out: the image made of this checkout)")
  private Path a;

  @Option(
      names = "--b",
      paramLabel = "EXECUTABLE",
      description =
          "daemon B (if left out: the newest zeusd 0.5 of crates.io, built once, if cargo is"
              + " there)")
  private Optional<Path> b = Optional.empty();

  @Option(names = "--alone", description = "measure A alone")
  private boolean alone;

  @Option(
      names = "--rows",
      paramLabel = "ROW",
      split = ",",
      description = "only these: names, or their beginnings (${COMPLETION-CANDIDATES})",
      completionCandidates = RowNames.class)
  private List<String> rows = Rows.ALL.stream().map(Row::name).toList();

  @Option(
      names = "--turns",
      paramLabel = "N",
      defaultValue = "5",
      description = "turns of each daemon (${DEFAULT-VALUE})")
  private int turns;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "2",
      description = "how long one turn of requests takes (${DEFAULT-VALUE})")
  private double seconds;

  @Option(
      names = "--stream-seconds",
      paramLabel = "S",
      defaultValue = "4",
      description = "how long one turn of streams or slow driver calls takes (${DEFAULT-VALUE})")
  private double streamSeconds;

  @Option(
      names = "--warm-up",
      paramLabel = "N",
      defaultValue = "20000",
      description = "requests before a row's first turn (${DEFAULT-VALUE})")
  private int warmUp;

  @Option(
      names = "--load-niceness",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "niceness of the load generator, on top of our own (${DEFAULT-VALUE}); -10 keeps the"
              + " daemons from delaying it where cores are few")
  private int loadNiceness;

  @Option(
      names = "--keep-awake",
      description =
          "let no CPU sleep meanwhile: for virtual machines, where waking one takes longer than"
              + " answering a request")
  private boolean keepAwake;

  @Option(
      names = "--native-dir",
      paramLabel = "DIR",
      required = true,
      hidden = true,
      description = "the load generator and the echo server; set by zeusd-bench/run")
  private Path nativeDir;

  @Option(
      names = "--fake-nvml-dir",
      paramLabel = "DIR",
      required = true,
      hidden = true,
      description = "the fake NVML; set by zeusd-bench/run")
  private Path fakeNvmlDir;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "show this help")
  private boolean help;

  /** The names of the rows, for the help text. */
  static final class RowNames implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return Stream.concat(Rows.ALL.stream().map(Row::name), Stream.of(Rows.GROWTH)).iterator();
    }
  }

  /** Exit status: 0, 1 if something could not be measured, 2 for a wrong command line. */
  public static void main(String[] args) {
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> ProcessHandle.current().descendants().forEach(ProcessHandle::destroy)));
    System.exit(commandLine().execute(args));
  }

  static CommandLine commandLine() {
    return new CommandLine(new Compare()).setParameterExceptionHandler(Compare::refuse);
  }

  private static int refuse(ParameterException e, String[] args) {
    e.getCommandLine()
        .getErr()
        .println("compare: " + e.getMessage() + "; --help lists the options");
    return CommandLine.ExitCode.USAGE;
  }

  @Override
  public Integer call() throws InterruptedException {
    List<Row> chosen = chosenRows();
    Map<Column, Contender> contenders = new EnumMap<>(Column.class);
    contenders.put(Column.A, new Contender(a));
    if (!alone) {
      b.ifPresent(executable -> contenders.put(Column.B, new Contender(executable)));
    }
    try {
      return compare(contenders, chosen);
    } catch (BenchException e) {
      spec.commandLine().getErr().println("compare: " + e.getMessage());
      return 1;
    }
  }

  private List<Row> chosenRows() {
    if (turns < 1 || seconds <= 0 || streamSeconds <= 0 || warmUp < 1) {
      throw new ParameterException(
          spec.commandLine(),
          "--turns, --seconds, --stream-seconds and --warm-up must be positive");
    }
    try {
      return Rows.named(rows);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), "--rows: " + e.getMessage(), e);
    }
  }

  private int compare(Map<Column, Contender> contenders, List<Row> chosen)
      throws BenchException, InterruptedException {
    String facts = Machine.facts(contenders) + (keepAwake ? "- no CPU slept\n" : "");
    Path scratch = newScratch();
    Results results;
    try (WakefulCpus _ =
        keepAwake ? WakefulCpus.start(nativeDir.resolve("awake")) : WakefulCpus.none()) {
      results =
          new Comparison(
                  new Launcher(nativeDir.resolve("echo"), fakeNvmlDir, scratch),
                  new LoadGenerator(nativeDir.resolve("load"), loadNiceness),
                  new Effort(turns, seconds, streamSeconds, warmUp),
                  contenders,
                  chosen,
                  spec.commandLine().getErr())
              .run();
    } finally {
      delete(scratch);
    }
    spec.commandLine().getOut().println(facts + "\n" + MarkdownTable.of(results.lines()));
    results.failures().forEach(failure -> spec.commandLine().getErr().println(failure));
    return results.failures().isEmpty() ? 0 : 1;
  }

  private static Path newScratch() throws BenchException {
    try {
      return Files.createTempDirectory("zeusd-bench");
    } catch (IOException e) {
      throw new BenchException("no folder for temporary files: " + e.getMessage(), e);
    }
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
