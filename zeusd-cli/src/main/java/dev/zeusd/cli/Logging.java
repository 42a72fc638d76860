package dev.zeusd.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.logging.ConsoleHandler;
import java.util.logging.Formatter;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.regex.Pattern;

/**
 * One line per event on stderr: with the time and the level, or, if stderr is the journal, with the
 * level as sd-daemon(3) has it, such as {@code <6>}, and without the time, which the journal knows.
 */
final class Logging {
  /** Values of {@code --log-level}. */
  enum LogLevel {
    ERROR(Level.SEVERE, "<3>"),
    WARN(Level.WARNING, "<4>"),
    INFO(Level.INFO, "<6>"),
    DEBUG(Level.FINE, "<7>");

    private final Level level;
    private final String journalPrefix;

    LogLevel(Level level, String journalPrefix) {
      this.level = level;
      this.journalPrefix = journalPrefix;
    }
  }

  // Held here: java.util.logging forgets the level of a logger that nobody refers to.
  private static final Logger ROOT = Logger.getLogger("");
  private static final Logger HELIDON = Logger.getLogger("io.helidon");

  private static final Pattern HARMFUL = Pattern.compile("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]");

  private static final long RESET_MILLIS = 100;

  /** Open when {@link Stderr} has come back; from the start, where there is none. */
  private static volatile CountDownLatch isBack = new CountDownLatch(0);

  /** The root's level, which that other hook of {@link #sayLast} sets back. */
  private static volatile Level least = Level.INFO;

  private Logging() {}

  static void setUp(LogLevel level) {
    for (Handler handler : ROOT.getHandlers()) {
      ROOT.removeHandler(handler);
    }
    Handler stderr = new Stderr();
    stderr.setFormatter(new OneLine(stderrIsJournal()));
    stderr.setLevel(level.level);
    isBack = new CountDownLatch(1);
    ROOT.addHandler(stderr);
    ROOT.setLevel(level.level);
    least = level.level;
    if (level != LogLevel.DEBUG) {
      HELIDON.setLevel(Level.WARNING);
    }
  }

  /**
   * For a shutdown hook, before it does what is logged: waits a moment for the JVM's own one, by
   * which {@link Stderr} is taken away and comes back.
   */
  static void awaitReset() throws InterruptedException {
    isBack.await(RESET_MILLIS, TimeUnit.MILLISECONDS);
  }

  /** For a shutdown hook: beside it runs another one, which closes the log. */
  static void sayLast(String message) {
    LogRecord last = new LogRecord(Level.INFO, message);
    if (last.getLevel().intValue() >= least.intValue()) {
      System.err.print(new OneLine(stderrIsJournal()).format(last));
    }
  }

  static boolean isDebug() {
    return ROOT.isLoggable(LogLevel.DEBUG.level);
  }

  /**
   * What comes from others may hold anything: a line stays one line, a terminal stays itself, and
   * no text is shown in another order than it has.
   */
  static String harmless(String text) {
    return HARMFUL.matcher(text).replaceAll(" ");
  }

  /** In front of an error that ends the command and is not logged. */
  static String errorPrefix() {
    return stderrIsJournal() ? LogLevel.ERROR.journalPrefix : "";
  }

  /**
   * systemd.exec(5): systemd names the journal's end of stderr as device:inode. A process that has
   * inherited the variable may have another stderr.
   */
  private static boolean stderrIsJournal() {
    String journal = System.getenv("JOURNAL_STREAM");
    if (journal == null) {
      return false;
    }
    try {
      Map<String, Object> stderr = Files.readAttributes(Path.of("/proc/self/fd/2"), "unix:dev,ino");
      return journal.equals(stderr.get("dev") + ":" + stderr.get("ino"));
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Stays when the log is closed by the JVM's own shutdown hook, which runs beside ours: what
   * becomes of settings while the daemon stops is to be told.
   */
  private static final class Stderr extends ConsoleHandler {
    @Override
    public boolean isLoggable(LogRecord entry) {
      // That hook forgets the levels of loggers.
      boolean isHelidon = String.valueOf(entry.getLoggerName()).startsWith("io.helidon");
      boolean isNoise = isHelidon && entry.getLevel().intValue() < Level.WARNING.intValue();
      return super.isLoggable(entry) && !(isNoise && least != LogLevel.DEBUG.level);
    }

    @Override
    public void close() {
      super.close();
      ROOT.addHandler(this);
      isBack.countDown();
    }
  }

  private static final class OneLine extends Formatter {
    private final boolean journal;

    OneLine(boolean journal) {
      this.journal = journal;
    }

    @Override
    public String format(LogRecord entry) {
      LogLevel level = levelOf(entry);
      String start =
          journal
              ? level.journalPrefix
              : Instant.now() + " " + level.name().toLowerCase(Locale.ROOT) + " ";
      Throwable thrown = entry.getThrown();
      String text = formatMessage(entry) + (thrown == null ? "" : ": " + thrown);
      StringBuilder lines = new StringBuilder(start);
      lines.append(harmless(text));
      lines.append(System.lineSeparator());
      if (thrown != null && isDebug()) {
        for (StackTraceElement frame : thrown.getStackTrace()) {
          lines.append(journal ? start : "").append("    at ").append(frame);
          lines.append(System.lineSeparator());
        }
      }
      return lines.toString();
    }

    private static LogLevel levelOf(LogRecord entry) {
      for (LogLevel known : LogLevel.values()) {
        if (entry.getLevel().intValue() >= known.level.intValue()) {
          return known;
        }
      }
      return LogLevel.DEBUG;
    }
  }
}
