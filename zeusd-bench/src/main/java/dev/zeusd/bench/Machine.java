package dev.zeusd.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;

/** What a reader of the figures has to know of the machine and the programs. */
final class Machine {
  /** Where /proc/self/stat has it: our own name holds no blanks. */
  private static final int NICENESS_FIELD = 18;

  private Machine() {}

  /**
   * A list in Markdown.
   *
   * @throws BenchException if a contender does not run
   */
  static String facts(Map<Column, Contender> contenders)
      throws BenchException, InterruptedException {
    StringBuilder facts = new StringBuilder();
    facts.append(
        """
        - %s, %s, %d cores, Linux %s
        - load average before: %s, niceness: %s
        """
            .formatted(
                LocalDate.now(ZoneOffset.UTC),
                processor(),
                Runtime.getRuntime().availableProcessors(),
                System.getProperty("os.version"),
                read("/proc/loadavg").split(" ")[0],
                read("/proc/self/stat").split(" ")[NICENESS_FIELD]));
    for (Map.Entry<Column, Contender> contender : contenders.entrySet()) {
      Path executable = contender.getValue().executable();
      facts.append(
          "- %s: %s%s%s, %s\n"
              .formatted(
                  contender.getKey(),
                  contender.getValue().version(),
                  commit(executable),
                  runtime(executable),
                  executable));
    }
    return facts.toString();
  }

  private static String processor() throws BenchException {
    return read("/proc/cpuinfo")
        .lines()
        .filter(line -> line.startsWith("model name"))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst()
        .orElse("an unknown processor");
  }

  /** The commit of the checkout that a program lies in. */
  private static String commit(Path executable) throws InterruptedException {
    String folder = executable.toAbsolutePath().getParent().toString();
    try {
      return " at "
          + Commands.output(List.of("git", "-C", folder, "describe", "--always", "--dirty"));
    } catch (BenchException e) {
      return "";
    }
  }

  /** The Java runtime of an image. */
  private static String runtime(Path executable) throws BenchException {
    Path release =
        executable.toAbsolutePath().getParent().resolveSibling("lib").resolve("runtime/release");
    if (!Files.exists(release)) {
      return "";
    }
    return read(release.toString())
        .lines()
        .filter(line -> line.startsWith("JAVA_VERSION="))
        .map(line -> " on Java " + line.substring(line.indexOf('=') + 1).replace("\"", ""))
        .findFirst()
        .orElse("");
  }

  private static String read(String file) throws BenchException {
    try {
      return Files.readString(Path.of(file));
    } catch (IOException e) {
      throw new BenchException("cannot read " + file + ": " + e.getMessage(), e);
    }
  }
}
