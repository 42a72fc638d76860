package dev.zeusd.cli;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A command as it would run without zeusd: same terminal, process group, folder, environment. */
final class CommandProcess {
  private static final int NOT_FOUND = 127;
  private static final int CANNOT = 126;

  /** What the launcher sets for the JVM, and where it keeps what there was before. */
  private static final Map<String, String> CALLERS =
      Map.of("LC_ALL", "ZEUSD_CALLER_LC_ALL", "MALLOC_ARENA_MAX", "ZEUSD_CALLER_MALLOC_ARENA_MAX");

  private static final Pattern ERROR = Pattern.compile("\\berror[=:] ?(\\d+)\\b");
  private static final String LAUNCHED = "ZEUSD_LAUNCHED";

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
    ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
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
}
