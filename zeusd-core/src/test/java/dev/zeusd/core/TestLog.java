package dev.zeusd.core;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;

/** Records what a class logs, from the making to the close. */
public final class TestLog implements AutoCloseable {
  private final Logger logger;
  private final List<LogRecord> records = new CopyOnWriteArrayList<>();
  private final Handler handler =
      new Handler() {
        @Override
        public void publish(LogRecord line) {
          records.add(line);
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  public TestLog(String className) {
    logger = Logger.getLogger(className);
    logger.addHandler(handler);
  }

  /** The texts of one level, oldest first. */
  public List<String> lines(Level level) {
    SimpleFormatter formatter = new SimpleFormatter();
    return records.stream()
        .filter(line -> line.getLevel().equals(level))
        .map(formatter::formatMessage)
        .toList();
  }

  @Override
  public void close() {
    logger.removeHandler(handler);
  }
}
