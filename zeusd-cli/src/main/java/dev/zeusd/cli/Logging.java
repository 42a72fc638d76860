package dev.zeusd.cli;

import java.time.Instant;
import java.util.Locale;
import java.util.logging.ConsoleHandler;
import java.util.logging.Formatter;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** One line per event on stderr. */
final class Logging {
  /** Values of {@code --log-level}. */
  enum LogLevel {
    ERROR(Level.SEVERE),
    WARN(Level.WARNING),
    INFO(Level.INFO),
    DEBUG(Level.FINE);

    private final Level level;

    LogLevel(Level level) {
      this.level = level;
    }
  }

  // Held here: java.util.logging forgets the level of a logger that nobody refers to.
  private static final Logger ROOT = Logger.getLogger("");
  private static final Logger HELIDON = Logger.getLogger("io.helidon");

  private Logging() {}

  static void setUp(LogLevel level) {
    for (Handler handler : ROOT.getHandlers()) {
      ROOT.removeHandler(handler);
    }
    Handler stderr = new ConsoleHandler();
    stderr.setFormatter(new OneLine());
    stderr.setLevel(Level.ALL);
    ROOT.addHandler(stderr);
    ROOT.setLevel(level.level);
    if (level != LogLevel.DEBUG) {
      HELIDON.setLevel(Level.WARNING);
    }
  }

  static boolean isDebug() {
    return ROOT.isLoggable(LogLevel.DEBUG.level);
  }

  private static final class OneLine extends Formatter {
    @Override
    public String format(LogRecord entry) {
      StringBuilder line = new StringBuilder(Instant.now().toString());
      line.append(' ').append(name(entry.getLevel())).append(' ');
      // What comes from clients may hold anything; a line stays one line.
      line.append(formatMessage(entry).replaceAll("\\p{Cntrl}", " "));
      if (entry.getThrown() != null) {
        line.append(": ").append(entry.getThrown());
      }
      line.append(System.lineSeparator());
      if (entry.getThrown() != null && isDebug()) {
        for (StackTraceElement frame : entry.getThrown().getStackTrace()) {
          line.append("    at ").append(frame).append(System.lineSeparator());
        }
      }
      return line.toString();
    }

    private static String name(Level level) {
      for (LogLevel known : LogLevel.values()) {
        if (level.intValue() >= known.level.intValue()) {
          return known.name().toLowerCase(Locale.ROOT);
        }
      }
      return "debug";
    }
  }
}
