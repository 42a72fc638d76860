package dev.zeusd.core.rapl;

import dev.zeusd.core.StateDirectory;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.ffm.posix.FileFacts;
import java.io.IOException;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * What counters have counted, in a file of the state directory, so that the next process goes on
 * from there. All of them are in one file, which a thread of its own writes, since a disk may take
 * its time, and at most every {@link #PAUSE_NANOS}; the thread ends when all is written.
 *
 * <p>Thread-safe.
 */
final class SavedCounters implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(SavedCounters.class.getName());
  private static final String FILE = "cpu-energy";
  private static final long PAUSE_NANOS = TimeUnit.SECONDS.toNanos(2);

  /** How long somebody waits for the disk, at most. */
  private static final long PATIENCE_NANOS = TimeUnit.MILLISECONDS.toNanos(300);

  private final Optional<StateDirectory> directory;

  // From here on: guarded by this.
  private final Map<String, Saved> counters = new TreeMap<>();
  private long changes;
  private long written;

  /** How much of {@link #changes} a writing was tried of; more than was written if that failed. */
  private long tried;

  private long writtenNanos = System.nanoTime() - PAUSE_NANOS;
  private boolean urgent;
  private boolean failing;

  /** Writes now, or null. */
  private Thread writer;

  /**
   * One counter.
   *
   * @param energyUj what it had counted when it was read
   * @param toldUj no more than this was ever told
   * @param rawUj what the hardware showed
   * @param rangeUj where the hardware wraps, negative if that is unknown
   * @param bootNanos when it was read, by a {@link BootClock}
   * @param sleptNanos how much of that the machine had slept
   * @param uncountedUj how much of {@code energyUj} nobody has counted
   */
  record Saved(
      long energyUj,
      long toldUj,
      long rawUj,
      long rangeUj,
      long bootNanos,
      long sleptNanos,
      long uncountedUj) {
    private String line(String zone) {
      return String.join(
          " ",
          URLEncoder.encode(zone, StandardCharsets.UTF_8),
          "" + energyUj,
          "" + toldUj,
          "" + rawUj,
          "" + rangeUj,
          "" + bootNanos,
          "" + sleptNanos,
          "" + uncountedUj);
    }
  }

  /** Counters that are forgotten with the process. */
  static SavedCounters none() {
    return new SavedCounters(Optional.empty());
  }

  /** Those that an earlier process has left on this boot of the machine. */
  SavedCounters(Optional<StateDirectory> directory) {
    this.directory = directory;
    directory.flatMap(state -> state.read(FILE)).ifPresent(this::parse);
  }

  private void parse(List<String> lines) {
    try {
      for (String line : lines) {
        String[] parts = line.split(" ");
        long[] numbers = new long[7];
        for (int i = 0; i < numbers.length; i++) {
          numbers[i] = Long.parseLong(parts[i + 1]);
        }
        counters.put(
            URLDecoder.decode(parts[0], StandardCharsets.UTF_8),
            new Saved(
                numbers[0],
                numbers[1],
                numbers[2],
                numbers[3],
                numbers[4],
                numbers[5],
                numbers[6]));
      }
    } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException e) {
      counters.clear();
      directory.get().setAside(FILE, "a line of it makes no sense");
    }
  }

  /** What is known of a counter. */
  synchronized Optional<Saved> of(String zone) {
    return Optional.ofNullable(counters.get(zone));
  }

  /** Saves a counter before long. */
  synchronized void saveSoon(String zone, Saved state) {
    if (directory.isPresent()) {
      counters.put(zone, state);
      changes++;
      startWriter();
    }
  }

  /** Saves a counter and waits for it, but not for a disk that hangs. */
  synchronized void saveNow(String zone, Saved state) {
    saveSoon(zone, state);
    awaitWritten();
  }

  private void awaitWritten() {
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    long mine = changes;
    urgent = true;
    // What has failed is tried again.
    tried = Math.min(tried, mine - 1);
    notifyAll();
    try {
      while (written < mine && tried < mine && writer != null && deadline - System.nanoTime() > 0) {
        TimeUnit.NANOSECONDS.timedWait(this, Math.max(1, deadline - System.nanoTime()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void startWriter() {
    if (writer == null) {
      writer = Thread.ofPlatform().daemon().name("save energy").start(this::writeAll);
    }
  }

  private void writeAll() {
    while (awaitTurn()) {
      List<String> lines = new ArrayList<>();
      long upTo;
      synchronized (this) {
        urgent = false;
        upTo = changes;
        counters.forEach((zone, state) -> lines.add(state.line(zone)));
      }
      boolean failed = !write(lines);
      synchronized (this) {
        tried = upTo;
        written = failed ? written : upTo;
        writtenNanos = System.nanoTime();
        failing = failed;
        notifyAll();
      }
    }
  }

  /** Waits until it is time to write; not so if there is nothing, which ends the thread. */
  private synchronized boolean awaitTurn() {
    try {
      long waitNanos;
      while (written < changes
          && !urgent
          && (waitNanos = writtenNanos + PAUSE_NANOS - System.nanoTime()) > 0) {
        TimeUnit.NANOSECONDS.timedWait(this, waitNanos);
      }
    } catch (InterruptedException e) {
      // Nobody does that; then it is written now.
    }
    if (written == changes) {
      writer = null;
      notifyAll();
    }
    return writer != null;
  }

  private boolean write(List<String> lines) {
    try {
      directory.get().write(FILE, lines);
      return true;
    } catch (IOException e) {
      if (!failing) {
        LOG.log(
            System.Logger.Level.WARNING,
            "{0} cannot be written, so CPU energy may fall when the daemon is restarted: {1}",
            directory.get().dir().resolve(FILE),
            FileFacts.reason(e));
      }
      return false;
    }
  }

  /** Waits until all is written, but not for a disk that hangs. */
  @Override
  public synchronized void close() {
    awaitWritten();
  }
}
