package dev.zeusd.cli;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A command as it would run without zeusd: same terminal, process group, folder, environment. */
final class CommandProcess {
  private static final int NOT_FOUND = 127;
  private static final int CANNOT = 126;

  /** What the launcher sets for the JVM, and where it keeps what there was before. */
  private static final Map<String, String> CALLERS =
      Map.of("LC_ALL", "ZEUSD_CALLER_LC_ALL", "MALLOC_ARENA_MAX", "ZEUSD_CALLER_MALLOC_ARENA_MAX");

  private static final Pattern ERROR = Pattern.compile("\\berror[=:] ?(\\d+)\\b");
  private static final String LAUNCHED = "ZEUSD_LAUNCHED";

  /** What the launcher's caller ignored, as the mask of /proc/PID/status. */
  private static final String IGNORED = "ZEUSD_CALLER_IGNORES";

  /** By their numbers: what the JVM or this program handles even where it is ignored. */
  private static final Map<Integer, String> HANDLED_ANYWAY =
      Map.of(3, "QUIT", 10, "USR1", 12, "USR2", 13, "PIPE");

  private CommandProcess() {}

  /** There is no such command; the message is for users. */
  static final class NotStarted extends Exception {
    private static final long serialVersionUID = 1L;
    private final int status;

    NotStarted(String message, int status) {
      super(message);
      this.status = status;
    }

    /** As shells have it. */
    int status() {
      return status;
    }
  }

  static Process start(List<String> command) throws NotStarted {
    ProcessBuilder builder = new ProcessBuilder(ignoringAsTheCaller(command)).inheritIO();
    giveBack(builder.environment());
    try {
      return builder.start();
    } catch (IOException e) {
      throw notStarted(command.getFirst(), String.valueOf(e.getMessage()));
    }
  }

  /** Java tells the number of the error in its message only. */
  private static NotStarted notStarted(String program, String message) {
    Matcher number = ERROR.matcher(message);
    return switch (number.find() ? number.group(1) : "") {
      case "2" -> new NotStarted("there is no command '" + program + "'", NOT_FOUND);
      case "13" ->
          new NotStarted("'" + program + "' is no program that this user may execute", CANNOT);
      default -> new NotStarted("'" + program + "' cannot be executed: " + message, CANNOT);
    };
  }

  /** Puts the variables back that the launcher has set. */
  private static void giveBack(Map<String, String> environment) {
    if (environment.remove(LAUNCHED) == null) {
      return;
    }
    environment.remove(IGNORED);
    CALLERS.forEach(
        (name, kept) -> {
          String callers = environment.remove(kept);
          if (callers == null) {
            environment.remove(name);
          } else {
            environment.put(name, callers);
          }
        });
  }

  /**
   * With the signals ignored that the caller ignores, as below nohup. It takes a shell, since Java
   * resets SIGPIPE in every process that it starts, and would have to ignore the others itself.
   */
  private static List<String> ignoringAsTheCaller(List<String> command) {
    String mask = System.getenv().getOrDefault(IGNORED, "");
    long ignored = mask.matches("[0-9a-f]{1,16}") ? Long.parseUnsignedLong(mask, 16) : 0;
    List<String> names =
        HANDLED_ANYWAY.keySet().stream()
            .filter(number -> (ignored >> (number - 1) & 1) != 0)
            .map(HANDLED_ANYWAY::get)
            .toList();
    if (names.isEmpty()) {
      return command;
    }
    String shell = "trap '' " + String.join(" ", names) + "; exec \"$@\"";
    return Stream.concat(Stream.of("/bin/sh", "-c", shell, "sh"), command.stream()).toList();
  }
}
