package dev.zeusd.server;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.stream.Stream;

/**
 * How much all clients together, and how much time each of them, may take.
 *
 * @param connections most that are open at a time
 * @param toSendRequest how long a connection may be open without a complete request, from its
 *     beginning or the last answer on: also how long one may be idle
 * @param toTakeAnswer how long a request may be worked on, and how long its answer may then be
 *     written, unless it is a stream; longer than devices may take, which is {@link
 *     dev.zeusd.core.worker.Answer#PATIENCE}
 */
public record Limits(int connections, Duration toSendRequest, Duration toTakeAnswer) {
  /** Of a request's first line, method and version included. */
  static final int REQUEST_LINE_BYTES = 4096;

  /** Of all header lines of a request. */
  static final int HEADER_BYTES = 16_384;

  /** A client that takes nothing of its answer for so long makes room when room is needed. */
  public static final Duration STUCK = Duration.ofSeconds(1);

  /** If more than this part of the connections is being answered, those that are stuck go. */
  public static final int STUCK_PART = 8;

  /**
   * A peer with more connections than this, streams aside, has its requests admitted a few at a
   * time.
   */
  public static final int CROWD = 64;

  /** How long a request may wait to be admitted. */
  public static final Duration ADMISSION_PATIENCE = Duration.ofSeconds(5);

  /** Which part of the connections is for those who have not said who they are, but could. */
  public static final int STRANGERS_PART = 4;

  /** When to come back for what is free again in a moment. */
  public static final Duration SOON = Duration.ofSeconds(1);

  /** When to come back for what others have to end first. */
  public static final Duration LATER = Duration.ofSeconds(10);

  private static final System.Logger LOG = System.getLogger(Limits.class.getName());
  private static final int MAX_SPARE_FILES = 64;

  /** A stream takes about 35,000, and garbage needs room, too. */
  private static final int HEAP_BYTES_A_CONNECTION = 50_000;

  /** Keys, and what is left of the handshake, take some 10,000 more. */
  private static final int HEAP_BYTES_WITH_TLS = 60_000;

  /** Checks that there is room for a stream and a request. */
  public Limits {
    if (connections < 2) {
      throw new IllegalArgumentException(connections + " connections are too few");
    }
  }

  /**
   * Enough for the largest node, and little enough for a small heap.
   *
   * @return the limits
   */
  public static Limits defaults() {
    return new Limits(4096, Duration.ofSeconds(60), Duration.ofSeconds(15));
  }

  /** {@return most streams at a time: requests always find room beside them} */
  public int streams() {
    return connections * 3 / 4;
  }

  /** Most streams that keep a lease. */
  int leaseStreams() {
    return Math.max(1, connections / 8);
  }

  /**
   * The same, with no more connections than this process has files and memory for: Helidon's
   * listener ends for good when it cannot accept one, and an exhausted heap ends everything. Some
   * files are left for other uses.
   *
   * @param hasTls whether some of them may be encrypted
   * @throws ServerStartException if hardly any are left
   */
  Limits withinMeans(boolean hasTls) {
    long files = allowedOpenFiles();
    long forConnections = files - openFiles() - Math.min(files / 8, MAX_SPARE_FILES);
    long heap = Runtime.getRuntime().maxMemory();
    return atMost(
            forConnections,
            "this process may open only " + files + " files",
            "ulimit -n or systemd's LimitNOFILE")
        .atMost(
            heap / (hasTls ? HEAP_BYTES_WITH_TLS : HEAP_BYTES_A_CONNECTION),
            "the heap may only grow to " + heap / (1 << 20) + " MB",
            "Java's option -Xmx");
  }

  private Limits atMost(long possible, String why, String wayOut) {
    if (possible >= connections) {
      return this;
    }
    String what =
        why + ", enough for " + Math.max(0, possible) + " connections; more with " + wayOut;
    if (possible < 2) {
      throw new ServerStartException(what);
    }
    LOG.log(System.Logger.Level.WARNING, what);
    return new Limits((int) possible, toSendRequest, toTakeAnswer);
  }

  private static long allowedOpenFiles() {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/limits"))) {
      String soft =
          lines
              .filter(line -> line.startsWith("Max open files"))
              .map(line -> line.split("\\s+")[3])
              .findFirst()
              .orElse("unlimited");
      return soft.equals("unlimited") ? Integer.MAX_VALUE : Long.parseLong(soft);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long openFiles() {
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      return files.count();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
