package dev.zeusd.core.energy;

import dev.zeusd.core.StateDirectory;
import dev.zeusd.ffm.posix.FileFacts;
import java.io.IOException;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * The windows that are open, or have ended a short time ago, and what was measured so far, in two
 * files of the state directory: one is written when a window begins or ends, the other one every
 * few seconds.
 *
 * <p>Thread-safe.
 */
final class SavedWindows {
  private static final System.Logger LOG = System.getLogger(EnergyMeter.class.getName());
  private static final String WINDOWS = "energy-windows";
  private static final String TALLIES = "energy-tallies";

  /** What is not there. */
  static final String NONE = "-";

  /** A directory that cannot be used may be mended. */
  private static final long RETRY_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final Optional<Path> dir;

  /** Not a monitor, which would hold a virtual thread's carrier while it waits for the disk. */
  private final ReentrantLock lock = new ReentrantLock();

  /** How often something was to be saved. */
  private final AtomicLong changes = new AtomicLong();

  private final Supplier<Recovery> recoveries;

  // Guarded by the lock.
  private long savedChanges;
  private boolean isSaved;
  private Optional<StateDirectory> directory = Optional.empty();
  private long triedNanos = System.nanoTime() - RETRY_NANOS;

  /** The lines of the file of tallies, by device and place. */
  private final Map<String, String> tallies = new LinkedHashMap<>();

  /** What the log was told last of the directory and of each file that does not work. */
  private final Map<Path, String> problems = new HashMap<>();

  /**
   * Nothing is done yet.
   *
   * @param recoveries takes what an earlier process has left, when the directory can be used first
   */
  SavedWindows(Optional<Path> dir, Supplier<Recovery> recoveries) {
    this.dir = dir;
    this.recoveries = recoveries;
  }

  /** Whether a process has left something in a directory, to be looked at. */
  static boolean areIn(Optional<Path> dir) {
    return dir.isPresent() && Files.exists(dir.get().resolve(WINDOWS));
  }

  private Optional<StateDirectory> open() {
    if (directory.isEmpty() && dir.isPresent() && System.nanoTime() - triedNanos >= RETRY_NANOS) {
      triedNanos = System.nanoTime();
      try {
        StateDirectory state = StateDirectory.open(dir.get());
        recover(state, recoveries.get());
        directory = Optional.of(state);
        problems.remove(dir.get());
      } catch (IOException e) {
        String without = "energy windows do not outlive the daemon";
        warn(dir.get(), StateDirectory.whyNot(dir.get(), e, without));
      }
    }
    return directory;
  }

  /** Once, as long as it is the same. */
  private void warn(Path about, String text) {
    if (!text.equals(problems.put(about, text))) {
      LOG.log(System.Logger.Level.WARNING, text);
    }
  }

  /** Goes on with what an earlier process has left, if there is something. */
  void recover() {
    if (areIn(dir)) {
      lock.lock();
      try {
        open();
      } finally {
        lock.unlock();
      }
    }
  }

  /** Writes what describes itself. */
  interface Describer {
    void describe(List<String> lines);
  }

  /**
   * Writes both files, and waits for that; the tallies first, which windows refer to.
   *
   * @return whether they are on the disk
   */
  boolean save(Describer devices, Describer windows) {
    long wanted = changes.incrementAndGet();
    lock.lock();
    try {
      // One writing serves all who wait for it.
      if (savedChanges < wanted) {
        savedChanges = changes.get();
        isSaved = writeAll(devices, windows);
      }
      return isSaved;
    } finally {
      lock.unlock();
    }
  }

  private boolean writeAll(Describer devices, Describer windows) {
    if (open().isEmpty()) {
      return false;
    }
    Map<String, String> now = byPlace(devices);
    tallies.putAll(now);
    boolean isWritten = writeTallies() && write(WINDOWS, lines(windows));
    if (isWritten) {
      // Only now: until then, the file of windows has some that need the others.
      tallies.keySet().retainAll(now.keySet());
    }
    return isWritten && (!tallies.isEmpty() || writeTallies());
  }

  /** Whether the last {@link #save} has failed, as where the disk was full. */
  boolean needsSaving() {
    lock.lock();
    try {
      return directory.isPresent() && savedChanges > 0 && !isSaved;
    } finally {
      lock.unlock();
    }
  }

  /** Writes the tallies alone. */
  void saveTallies(Describer devices) {
    lock.lock();
    try {
      if (open().isPresent()) {
        tallies.putAll(byPlace(devices));
        writeTallies();
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean writeTallies() {
    return write(TALLIES, List.copyOf(tallies.values()));
  }

  private static Map<String, String> byPlace(Describer devices) {
    Map<String, String> lines = new LinkedHashMap<>();
    for (String line : lines(devices)) {
      String[] words = line.split(" ", 4);
      lines.put(words[0] + " " + words[2], line);
    }
    return lines;
  }

  private static List<String> lines(Describer describer) {
    List<String> lines = new ArrayList<>();
    describer.describe(lines);
    return lines;
  }

  private boolean write(String file, List<String> lines) {
    Path path = directory.get().dir().resolve(file);
    try {
      if (lines.isEmpty()) {
        directory.get().remove(file);
      } else {
        directory.get().write(file, lines);
      }
      if (problems.remove(path) != null) {
        LOG.log(System.Logger.Level.INFO, "{0} can be written again", path);
      }
      return true;
    } catch (IOException e) {
      warn(
          path,
          "%s cannot be written, so energy windows may be lost when the daemon ends: %s"
              .formatted(path, FileFacts.reason(e)));
      return false;
    }
  }

  /** Takes what an earlier process has left. */
  interface Recovery {
    /** One tally. */
    void tally(String key, int id, int place, Tally.Kind kind, Tally.State state);

    /** One window; its spans follow. */
    void window(EnergyWindow.Facts facts);

    /** A span of the last window. */
    void span(String key, int id, int place, Optional<Tally.State> start);

    /** The last window has ended; {@code energy} is what it has told. */
    void ended(long endedNanos, List<String> energy);

    /** That was all, and it made sense. */
    void finish();
  }

  private static void recover(StateDirectory from, Recovery recovery) {
    Optional<List<String>> windows = from.read(WINDOWS);
    if (windows.isEmpty()) {
      return;
    }
    String file = TALLIES;
    try {
      from.read(TALLIES).orElse(List.of()).forEach(line -> readTally(line, recovery));
      file = WINDOWS;
      windows.get().forEach(line -> readWindow(line, recovery));
      recovery.finish();
    } catch (IllegalArgumentException | IndexOutOfBoundsException | NoSuchElementException e) {
      from.setAside(file, "a line of it makes no sense");
    }
  }

  private static void readTally(String line, Recovery recovery) {
    List<String> words = List.of(line.split(" ", -1));
    recovery.tally(
        words.get(0),
        Integer.parseInt(words.get(1)),
        Integer.parseInt(words.get(2)),
        Tally.Kind.valueOf(words.get(3)),
        Tally.State.parse(words.subList(4, words.size())));
  }

  private static void readWindow(String line, Recovery recovery) {
    List<String> words = List.of(line.split(" ", -1));
    switch (words.get(0)) {
      case "window" ->
          recovery.window(
              new EnergyWindow.Facts(
                  words.get(1),
                  decode(words.get(3)),
                  decode(words.get(2)),
                  Long.parseLong(words.get(4)),
                  Long.parseLong(words.get(5)),
                  Long.parseLong(words.get(6))));
      case "span" ->
          recovery.span(
              words.get(1),
              Integer.parseInt(words.get(2)),
              Integer.parseInt(words.get(3)),
              words.get(4).equals(NONE)
                  ? Optional.empty()
                  : Optional.of(Tally.State.parse(words.subList(4, words.size()))));
      case "ended" -> recovery.ended(Long.parseLong(words.get(1)), words.subList(2, words.size()));
      default -> throw new IllegalArgumentException(line);
    }
  }

  static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  static String decode(String text) {
    return URLDecoder.decode(text, StandardCharsets.UTF_8);
  }
}
