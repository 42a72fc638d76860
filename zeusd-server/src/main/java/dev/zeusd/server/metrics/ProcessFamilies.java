package dev.zeusd.server.metrics;

import io.prometheus.metrics.model.snapshots.Labels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;
import java.util.stream.Stream;

/** What the daemon's process uses, by the names that Prometheus' own client libraries have. */
final class ProcessFamilies {
  private static final Path SELF = Path.of("/proc/self");
  private static final Path OPEN_FILES = SELF.resolve("fd");

  /** Of the times in /proc, on all architectures with Java. */
  private static final double TICKS_PER_SECOND = 100;

  private static final double MILLIS_PER_SECOND = 1e3;
  private static final double BYTES_PER_KB = 1024;

  /** Places among the numbers that follow the name in /proc/self/stat. */
  private static final int USER_TICKS = 11;

  private static final int SYSTEM_TICKS = 12;

  private ProcessFamilies() {}

  private static final class Start {
    static final Optional<Instant> TIME = ProcessHandle.current().info().startInstant();
  }

  /** What /proc does not tell is left out. */
  static void add(Families families) {
    Start.TIME.ifPresent(
        time ->
            gauge(
                families,
                "process_start_time_seconds",
                "When the process began, in seconds since 1970.",
                time.toEpochMilli() / MILLIS_PER_SECOND));
    try {
      addTimes(families);
      addMemory(families);
      gauge(families, "process_open_fds", "Files and sockets that are open.", openFiles());
    } catch (IOException e) {
      // There is no /proc, or not for this process.
    }
  }

  private static void addTimes(Families families) throws IOException {
    String stat = Files.readString(SELF.resolve("stat"));
    // The name may have blanks in it, and parentheses.
    String[] numbers = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
    long ticks = Long.parseLong(numbers[USER_TICKS]) + Long.parseLong(numbers[SYSTEM_TICKS]);
    families.counter(
        "process_cpu_seconds",
        "Processor time that the process has used.",
        samples -> samples.add(Labels.EMPTY, ticks / TICKS_PER_SECOND));
  }

  private static void addMemory(Families families) throws IOException {
    String status = Files.readString(SELF.resolve("status"));
    addKb(status, "VmRSS:", "process_resident_memory_bytes", "Memory that is resident.", families);
    addKb(status, "VmSize:", "process_virtual_memory_bytes", "Addresses in use.", families);
  }

  private static void addKb(
      String status, String key, String name, String help, Families families) {
    int start = status.indexOf('\n' + key);
    if (start >= 0) {
      int end = status.indexOf(" kB", start);
      String number = status.substring(start + 1 + key.length(), end).strip();
      gauge(families, name, help, Long.parseLong(number) * BYTES_PER_KB);
    }
  }

  private static double openFiles() throws IOException {
    // Newer kernels tell how many there are; for older ones, each is looked at.
    long size = Files.size(OPEN_FILES);
    if (size > 0) {
      return size;
    }
    try (Stream<Path> files = Files.list(OPEN_FILES)) {
      return files.count();
    }
  }

  private static void gauge(Families families, String name, String help, double value) {
    families.gauge(name, help, samples -> samples.add(Labels.EMPTY, value));
  }
}
