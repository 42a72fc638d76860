package dev.zeusd.cli;

import dev.zeusd.core.command.GpuCommand;
import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.core.command.GpuOperation;
import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.Strangers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Reads which operations on GPUs commands do in the driver's place: a file of its own, as the
 * original has it, or the same as a table of the configuration file.
 */
final class CommandsReader {
  private static final System.Logger LOG = System.getLogger("dev.zeusd");
  private static final long USUAL_TIMEOUT_S = 60;
  private static final long MAX_TIMEOUT_S = 3600;

  private CommandsReader() {}

  /**
   * Reads a file.
   *
   * @throws StartupException if it cannot be read, others may write to it, or commands cannot be
   *     run here
   * @throws ConfigException if it makes no sense
   */
  static GpuCommands read(Path file) {
    String text = ConfigFile.text(file, "command override file");
    ConfigProblems problems = new ConfigProblems(file);
    GpuCommands commands = read(TomlSection.parse(text, problems));
    if (!problems.isEmpty()) {
      throw new ConfigException(problems.lines());
    }
    return commands;
  }

  /** Reads a table; what is wrong with it is among its problems. */
  static GpuCommands read(TomlSection table) {
    Map<GpuOperation, GpuCommand> commands = new EnumMap<>(GpuOperation.class);
    for (GpuOperation operation : GpuOperation.values()) {
      table
          .section(operation.fileName())
          .flatMap(section -> command(section, operation))
          .ifPresent(command -> commands.put(operation, command));
    }
    table.refuseOthers(List.of());
    return new GpuCommands(commands);
  }

  private static Optional<GpuCommand> command(TomlSection section, GpuOperation operation) {
    List<List<String>> lines =
        section.list(
            "commands",
            "[\"/usr/local/bin/program {gpu_id}\"]",
            line -> withProgram(GpuCommand.split(line, operation)));
    Optional<Pattern> pattern =
        section.string("error_pattern", "\"error\"").flatMap(text -> pattern(section, text));
    long timeoutS = section.number("timeout_s", "60").orElse(USUAL_TIMEOUT_S);
    if (timeoutS < 1 || timeoutS > MAX_TIMEOUT_S) {
      section.refuse("timeout_s", timeoutS + " is not from 1 to " + MAX_TIMEOUT_S);
      timeoutS = USUAL_TIMEOUT_S;
    }
    if (!section.has("commands")) {
      section.refuse(operation.fileName() + " needs commands");
    }
    section.refuseOthers(List.of());
    return lines.isEmpty()
        ? Optional.empty()
        : Optional.of(new GpuCommand(lines, pattern, Duration.ofSeconds(timeoutS)));
  }

  private static Optional<Pattern> pattern(TomlSection section, String text) {
    try {
      return Optional.of(Pattern.compile(text));
    } catch (PatternSyntaxException e) {
      section.refuse("error_pattern", "is no regular expression: " + e.getDescription());
      return Optional.empty();
    }
  }

  // ---- Programs ----

  /** The same with the program's absolute path, looked for once and for all. */
  private static List<String> withProgram(List<String> words) {
    List<String> line = new ArrayList<>(words);
    Path program = find(words.getFirst());
    checkTrust(program);
    line.set(0, program.toString());
    return line;
  }

  private static Path find(String program) {
    if (program.startsWith("/")) {
      return executable(Path.of(program))
          .orElseThrow(() -> new IllegalArgumentException(program + " is no program"));
    }
    if (program.contains("/") || program.contains("{")) {
      throw new IllegalArgumentException(
          program + " is no path that means the same everywhere; write an absolute one");
    }
    for (String folder : System.getenv().getOrDefault("PATH", "").split(":")) {
      Optional<Path> found =
          folder.startsWith("/") ? executable(Path.of(folder, program)) : Optional.empty();
      if (found.isPresent()) {
        return found.get();
      }
    }
    throw new IllegalArgumentException(
        program + " is in no folder of the PATH; write its absolute path");
  }

  private static Optional<Path> executable(Path file) {
    return Files.isRegularFile(file) && Files.isExecutable(file)
        ? Optional.of(file)
        : Optional.empty();
  }

  /** Whoever may change the program may do what the daemon may. */
  private static void checkTrust(Path program) {
    try {
      Optional<String> writer = Strangers.whoWrites(program);
      if (writer.isPresent()) {
        throw new IllegalArgumentException(writer.get() + "; only root's are run, and ours");
      }
      Strangers.whoReplaces(program)
          .ifPresent(
              who ->
                  LOG.log(
                      System.Logger.Level.WARNING,
                      "PROGRAM " + program + " CAN BE REPLACED BY OTHERS: " + who));
    } catch (IOException e) {
      throw new IllegalArgumentException(
          program + " cannot be looked at: " + FileFacts.reason(e), e);
    }
  }
}
