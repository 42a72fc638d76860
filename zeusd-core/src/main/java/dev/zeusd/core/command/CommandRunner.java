package dev.zeusd.core.command;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.ProcessGroup;
import dev.zeusd.ffm.posix.Strangers;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;

/**
 * Runs a program to its end, or ends it: in a session of its own, so that all that it has started
 * ends with it; with nothing to read, in the root directory, and with few variables of this
 * process's environment. However it behaves, nobody waits for it longer than its time and a few
 * seconds, and no more of its output is kept than {@link #MAX_OUTPUT_BYTES}.
 */
final class CommandRunner {
  private static final System.Logger LOG = System.getLogger(CommandRunner.class.getName());

  private static final int MAX_OUTPUT_BYTES = 64 << 10;
  private static final int MAX_LOGGED_CHARS = 2000;
  private static final Duration OUTPUT_PATIENCE = Duration.ofSeconds(1);
  private static final Duration KILL_PATIENCE = Duration.ofSeconds(2);
  private static final Duration MATCH_PATIENCE = Duration.ofSeconds(1);

  /** How much longer than its time a command may keep its caller waiting. */
  static final Duration MOST_AFTERWARDS =
      OUTPUT_PATIENCE.plus(KILL_PATIENCE).plus(MATCH_PATIENCE).plusSeconds(1);

  private static final Set<String> PASSED_ON =
      Set.of(
          "PATH",
          "HOME",
          "USER",
          "LOGNAME",
          "LANG",
          "LC_ALL",
          "TZ",
          "LD_LIBRARY_PATH",
          "ROCM_PATH",
          "AMDSMI_LIB_DIR");

  private CommandRunner() {}

  /** The program that gives another one a session of its own; empty if the system has none. */
  static Optional<Path> setsid() {
    for (String folder : List.of("/usr/bin", "/bin")) {
      Path file = Path.of(folder, "setsid");
      if (Files.isExecutable(file)) {
        return Optional.of(file);
      }
    }
    return Optional.empty();
  }

  /**
   * Runs it.
   *
   * @param what it is for, for people
   * @throws DeviceException.Failed if others may write to it by now; if it does not start, does not
   *     end in time, ends with another status than 0, or has {@code errorPattern} in its output
   */
  static void run(
      String what, List<String> command, Optional<Pattern> errorPattern, Duration timeout) {
    requireOurs(what, command.getFirst());
    Process process = start(what, command);
    Output output = new Output(process);
    String outcome;
    try {
      if (process.waitFor(timeout.toNanos(), TimeUnit.NANOSECONDS)) {
        // Whatever it has left would keep its output open, and could write more at any time.
        ProcessGroup.kill(process.pid());
        int status = process.exitValue();
        outcome =
            status != 0
                ? "ended with status " + status
                : errorPattern.map(pattern -> judge(output, pattern)).orElse("");
      } else {
        outcome = "did not end within " + timeout.toSeconds() + " s and " + kill(process);
      }
    } catch (InterruptedException e) {
      kill(process);
      Thread.currentThread().interrupt();
      outcome = "was interrupted";
    }
    if (!outcome.isEmpty()) {
      // What it said last may still be under way.
      output.awaitEnd();
      String told = output.soFar();
      output.close();
      LOG.log(
          System.Logger.Level.WARNING,
          "{0}: {1} {2}; its output: {3}",
          what,
          String.join(" ", command),
          outcome,
          told.isBlank() ? "none" : printable(told));
      throw new DeviceException.Failed(
          what
              + ": the command "
              + command.getFirst()
              + " "
              + outcome
              + "; the daemon's log has its output");
    }
    output.close();
  }

  /** It was when the configuration was read, maybe months ago. */
  private static void requireOurs(String what, String program) {
    String why;
    try {
      why = Strangers.whoWrites(Path.of(program)).orElse("");
    } catch (IOException e) {
      why = program + " cannot be looked at: " + FileFacts.reason(e);
    }
    if (!why.isEmpty()) {
      throw new DeviceException.Failed(what + ": the command is not run: " + why);
    }
  }

  private static Process start(String what, List<String> command) {
    List<String> line = new ArrayList<>();
    line.add(
        setsid()
            .orElseThrow(() -> new DeviceException.Failed(what + ": there is no setsid"))
            .toString());
    line.addAll(command);
    ProcessBuilder builder = new ProcessBuilder(line).directory(new File("/"));
    Map<String, String> environment = builder.environment();
    environment.keySet().retainAll(PASSED_ON);
    builder.redirectErrorStream(true).redirectInput(new File("/dev/null"));
    try {
      return builder.start();
    } catch (IOException e) {
      throw new DeviceException.Failed(
          what + ": the command " + command.getFirst() + " cannot be started: " + e.getMessage());
    }
  }

  /** Ends it with all that it has started; says how that went. */
  private static String kill(Process process) {
    ProcessGroup.kill(process.pid());
    process.destroyForcibly();
    try {
      return process.waitFor(KILL_PATIENCE.toNanos(), TimeUnit.NANOSECONDS)
          ? "was killed"
          : "cannot be killed";
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "was killed";
    }
  }

  /** Empty if the output until now does not say that something went wrong. */
  private static String judge(Output output, Pattern errorPattern) {
    output.awaitEnd();
    try {
      boolean found = errorPattern.matcher(new Hurried(output.soFar(), MATCH_PATIENCE)).find();
      return found ? "said that something went wrong" : "";
    } catch (OutOfTimeException | StackOverflowError e) {
      return "ended, but its output cannot be compared with error_pattern in reasonable time";
    }
  }

  private static String printable(String text) {
    String clean = text.strip().replaceAll("[\\p{Cntrl}&&[^\n\t]]", "?").replace("\n", " | ");
    return clean.length() > MAX_LOGGED_CHARS ? clean.substring(0, MAX_LOGGED_CHARS) + "..." : clean;
  }

  /** What a process writes, read as it comes: to its end, of which the beginning is kept. */
  private static final class Output {
    private final InputStream stream;
    private final ByteArrayOutputStream kept = new ByteArrayOutputStream();
    private final CompletableFuture<Void> end = new CompletableFuture<>();

    Output(Process process) {
      stream = process.getInputStream();
      // It waits for whatever the command has started, which may never end.
      Thread.ofPlatform().daemon().name("output of a command").start(this::read);
    }

    private void read() {
      byte[] buffer = new byte[4096];
      try {
        for (int n = stream.read(buffer); n >= 0; n = stream.read(buffer)) {
          synchronized (kept) {
            kept.write(buffer, 0, Math.min(n, MAX_OUTPUT_BYTES - kept.size()));
          }
        }
      } catch (IOException e) {
        // Closed by us, since nobody waits any longer.
      }
      end.complete(null);
    }

    String soFar() {
      synchronized (kept) {
        return kept.toString(StandardCharsets.UTF_8);
      }
    }

    /** Waits for the end for a while: a process that has left the session may keep it open. */
    void awaitEnd() {
      try {
        end.get(OUTPUT_PATIENCE.toNanos(), TimeUnit.NANOSECONDS);
      } catch (TimeoutException | ExecutionException e) {
        // What is there has to do.
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    void close() {
      try {
        stream.close();
      } catch (IOException e) {
        // Then it is closed as well.
      }
    }
  }

  /** Thrown through a matcher whose time is over. */
  private static final class OutOfTimeException extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  /** A text that can be read for a while only: some patterns take for ever to fail. */
  private static final class Hurried implements CharSequence {
    private final CharSequence text;
    private final long limitNanos;

    Hurried(CharSequence text, Duration patience) {
      this(text, System.nanoTime() + patience.toNanos());
    }

    private Hurried(CharSequence text, long limitNanos) {
      this.text = text;
      this.limitNanos = limitNanos;
    }

    @Override
    public char charAt(int index) {
      if (System.nanoTime() > limitNanos) {
        throw new OutOfTimeException();
      }
      return text.charAt(index);
    }

    @Override
    public int length() {
      return text.length();
    }

    @Override
    public CharSequence subSequence(int start, int end) {
      return new Hurried(text.subSequence(start, end), limitNanos);
    }

    @Override
    public String toString() {
      return text.toString();
    }
  }
}
