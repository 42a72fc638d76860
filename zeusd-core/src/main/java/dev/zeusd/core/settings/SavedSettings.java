package dev.zeusd.core.settings;

import dev.zeusd.core.StateDirectory;
import dev.zeusd.ffm.posix.FileFacts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/**
 * The leases, and what they have to put back, in the state directory. A file that is always whole
 * says what was when a lease was taken or had ended; the {@link WriteLog} says what was written
 * since.
 *
 * <p>Thread-safe.
 */
final class SavedSettings {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());
  private static final String FILE = "leases";

  /** How long after a directory could not be used that is tried again. */
  private static final long OPEN_PAUSE_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final Optional<Path> dir;
  private final SettingTable table;
  private final LockedClocks clocks;
  private final LongSupplier nanoTime;

  /** Held while the file is written, so that one writing serves all who wait for it. */
  private final ReentrantLock saving = new ReentrantLock();

  private volatile long savedVersion;

  /** Opened when there is something to save, and read from then on. */
  private volatile Optional<Opened> opened = Optional.empty();

  /** What the log was told last; empty if saving works. */
  private volatile String problem = "";

  /** Whether files were removed, and what they said could not be written anew yet. */
  private volatile boolean removed;

  private volatile boolean triedToOpen;
  private long triedNanos;

  /**
   * Whether the log before the newest is in the file with the next saving; so is an earlier
   * process's.
   */
  private boolean logTurned = true;

  /** Get what an earlier process has left, whenever that can be read first. */
  private Optional<Leases> leases = Optional.empty();

  /** The directory that is used, and the log in it. */
  private record Opened(StateDirectory directory, WriteLog log) {}

  /** Nothing is done yet; {@code nanoTime} is the clock of all leases. */
  SavedSettings(
      Optional<Path> dir, SettingTable table, LockedClocks clocks, LongSupplier nanoTime) {
    this.dir = dir;
    this.table = table;
    this.clocks = clocks;
    this.nanoTime = nanoTime;
  }

  /** Whether what leases hold outlives the process; known once something was saved. */
  boolean isLasting() {
    return opened.isPresent();
  }

  /**
   * Opens it, unless that was done or was tried just now: what is wrong with it may be mended, or
   * another process may be about to leave it.
   *
   * @return whether that was done
   */
  private boolean open() {
    boolean isTime = !triedToOpen || nanoTime.getAsLong() - triedNanos >= OPEN_PAUSE_NANOS;
    if (opened.isPresent() || dir.isEmpty() || !isTime) {
      return false;
    }
    triedToOpen = true;
    triedNanos = nanoTime.getAsLong();
    try {
      StateDirectory state = StateDirectory.open(dir.get());
      WriteLog log = new WriteLog(state.dir());
      recover(state, log);
      opened = Optional.of(new Opened(state, log));
    } catch (IOException e) {
      String without = "what leases have changed does not come back if zeusd is killed";
      warn(StateDirectory.whyNot(dir.get(), e, without));
    }
    return opened.isPresent();
  }

  // ---- Writing ----

  /** Whether something that matters is not in the file. */
  boolean isDirty() {
    boolean isUsable = !triedToOpen || opened.isPresent() || dir.isEmpty();
    return savedVersion < table.locked(() -> table.version)
        && (isUsable || !table.isEmpty() || clocks.isUnsaved());
  }

  /**
   * Returns when all that is in the table is on the disk, if there is one to be used.
   *
   * @throws IOException if that cannot be; what was there before still is
   */
  void save() throws IOException {
    long wanted = table.locked(() -> table.version);
    saving.lock();
    try {
      boolean isNew = open();
      if (!isNew && savedVersion >= wanted && !isLogLong()) {
        return;
      }
      if (opened.isPresent()) {
        savedVersion = save(opened.get());
      } else if (dir.isEmpty()) {
        clocks.noteSaved();
        savedVersion = wanted;
      }
    } finally {
      saving.unlock();
    }
  }

  private long save(Opened to) throws IOException {
    if (to.log.isLong() && !logTurned) {
      to.log.turn();
      logTurned = true;
    }
    List<String> lines = new ArrayList<>();
    long version = table.locked(() -> SavedText.write(table, clocks, lines));
    to.directory.write(FILE, lines);
    if (logTurned) {
      to.log.forget();
      logTurned = false;
    }
    return version;
  }

  /** As {@link #save}, where nobody can do anything about a failure. */
  void trySave() {
    try {
      save();
      if (opened.isPresent()) {
        problem = "";
      }
    } catch (IOException e) {
      warn(cannotSave(e));
    }
  }

  /** Once, as long as it is the same. */
  private void warn(String text) {
    if (!text.equals(problem)) {
      LOG.log(System.Logger.Level.WARNING, text);
    }
    problem = text;
  }

  String cannotSave(IOException e) {
    return "%s cannot be written: %s"
        .formatted(dir.orElseThrow().resolve(FILE), FileFacts.reason(e));
  }

  /** The next line of the log; under the table's lock. */
  WriteLog.Line nextLine(Setting setting, Lease lease, Optional<SettingValue> asked) {
    table.lines++;
    return new WriteLog.Line(table.lines, setting, lease.epoch(), asked);
  }

  /** Appends it, not under the table's lock. */
  void append(WriteLog.Line line) throws IOException {
    if (opened.isPresent()) {
      writeAnewIfRemoved(opened.get());
      opened.get().log.append(line);
    }
  }

  /** Somebody may tidy up the directory of a daemon that runs. */
  private void writeAnewIfRemoved(Opened to) throws IOException {
    if (areThere(to)) {
      return;
    }
    saving.lock();
    try {
      if (areThere(to)) {
        return;
      }
      if (!removed) {
        LOG.log(
            System.Logger.Level.WARNING,
            "files in {0} were removed while zeusd runs; they are written anew",
            to.directory.dir());
      }
      removed = true;
      // In this order: what others append meanwhile is in the fresh file, all else in the table.
      to.log.beginAnew();
      table.locked(() -> table.changed(List.of()));
      save();
      removed = false;
    } finally {
      saving.unlock();
    }
  }

  private boolean areThere(Opened to) {
    return !removed
        && to.log.isThere()
        && to.directory.isLocked()
        && Files.exists(to.directory.dir().resolve(FILE));
  }

  /** As {@link #append}, where a missing line does no harm. */
  void tryAppend(WriteLog.Line line) {
    try {
      append(line);
    } catch (IOException e) {
      warn(cannotSave(e));
    }
  }

  /** Whether the log should be replaced by {@link #save}. */
  boolean isLogLong() {
    return opened.isPresent() && opened.get().log.isLong();
  }

  // ---- Reading ----

  /** Has the leases go on with what an earlier process has left; later, if that is not readable. */
  void recover(Leases into) {
    leases = Optional.of(into);
    if (dir.isPresent() && Files.exists(dir.get().resolve(FILE))) {
      trySave();
    }
  }

  private void recover(StateDirectory state, WriteLog log) throws IOException {
    Optional<List<String>> lines = state.read(FILE);
    if (lines.isEmpty() || leases.isEmpty()) {
      return;
    }
    Recovery recovery = new Recovery(leases.get());
    try {
      recovery.read(lines.get());
    } catch (IllegalArgumentException | IndexOutOfBoundsException | NoSuchElementException e) {
      state.setAside(FILE, "a line of it makes no sense");
      return;
    }
    recovery.replay(log.read());
    leases.get().goOn(table.locked(recovery::install));
  }
}
