package dev.zeusd.core.settings;

import dev.zeusd.core.StateDirectory;
import dev.zeusd.ffm.posix.FileFacts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;

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

  /** What is not there. */
  static final String NONE = "-";

  private final Optional<Path> dir;
  private final SettingTable table;
  private final LockedClocks clocks;

  /** Held while the file is written, so that one writing serves all who wait for it. */
  private final ReentrantLock saving = new ReentrantLock();

  private volatile long savedVersion;

  /** Opened when there is something to save, and read from then on. */
  private volatile Optional<Opened> opened = Optional.empty();

  /** What the log was told last; empty if saving works. */
  private volatile String problem = "";

  /** Whether files were removed, and what they said could not be written anew yet. */
  private volatile boolean removed;

  private boolean triedToOpen;
  private boolean logTurned;

  /** The directory that is used, and the log in it. */
  private record Opened(StateDirectory directory, WriteLog log) {}

  /** Nothing is done yet. */
  SavedSettings(Optional<Path> dir, SettingTable table, LockedClocks clocks) {
    this.dir = dir;
    this.table = table;
    this.clocks = clocks;
  }

  /** Whether what leases hold outlives the process; known once something was saved. */
  boolean isLasting() {
    return opened.isPresent();
  }

  private void open() {
    if (!triedToOpen && dir.isPresent()) {
      opened =
          StateDirectory.open(
                  dir.get(), "what leases have changed does not come back if zeusd is killed")
              .map(state -> new Opened(state, new WriteLog(state.dir())));
    }
    triedToOpen = true;
  }

  // ---- Writing ----

  /** Whether something is not in the file. */
  boolean isDirty() {
    return savedVersion < table.locked(() -> table.version);
  }

  /**
   * Returns when all that is in the table is on the disk.
   *
   * @throws IOException if that cannot be; what was there before still is
   */
  void save() throws IOException {
    long wanted = table.locked(() -> table.version);
    saving.lock();
    try {
      if (savedVersion >= wanted && !isLogLong()) {
        return;
      }
      open();
      if (opened.isPresent()) {
        savedVersion = save(opened.get());
      } else {
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
    long version = table.locked(() -> describe(lines));
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
      problem = "";
    } catch (IOException e) {
      warn(e);
    }
  }

  /** Once, as long as it is the same. */
  private void warn(IOException e) {
    String text = cannotSave(e);
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
    return !removed && to.log.isThere() && Files.exists(to.directory.dir().resolve(FILE));
  }

  /** As {@link #append}, where a missing line does no harm. */
  void tryAppend(WriteLog.Line line) {
    try {
      append(line);
    } catch (IOException e) {
      warn(e);
    }
  }

  /** Whether the log should be replaced by {@link #save}. */
  boolean isLogLong() {
    return opened.isPresent() && opened.get().log.isLong();
  }

  private long describe(List<String> lines) {
    lines.add("epoch " + table.lastEpoch);
    lines.add("lines " + table.lines);
    Set<Lease> leases = new LinkedHashSet<>(table.leases.values());
    table.states.values().stream()
        .flatMap(state -> state.change.stream())
        .flatMap(change -> change.by().stream())
        .forEach(leases::add);
    leases.stream().map(SavedSettings::describe).forEach(lines::add);
    table.states.values().stream().map(SavedSettings::describe).forEach(lines::add);
    clocks.values().forEach((setting, value) -> lines.add(describe(setting, value)));
    return table.version;
  }

  private static String describe(Lease lease) {
    return String.join(
        " ",
        "lease",
        lease.id(),
        Long.toString(lease.epoch()),
        Long.toString(lease.ttl().toMillis()),
        lease.onEnd().name(),
        // One that is still being taken has not changed anything.
        lease.term().isOver() ? "ended" : "active",
        WriteLog.encode(lease.holder()),
        lease.process().map(ClientProcess.Id::text).orElse(NONE));
  }

  private static String describe(Setting setting, SettingValue clocks) {
    return String.join(
        " ", "clocks", WriteLog.encode(setting.gpuUuid()), setting.key().wireName(), clocks.text());
  }

  private static String describe(SettingState state) {
    Optional<Written> written = state.change.map(Change::written);
    return String.join(
        " ",
        "setting",
        WriteLog.encode(state.setting.gpuUuid()),
        state.setting.key().wireName(),
        state.holder.map(Lease::id).orElse(NONE),
        text(state.found),
        text(state.change.map(Change::before)),
        state.change.flatMap(Change::by).map(Lease::id).orElse(NONE),
        text(written.flatMap(Written::sure)),
        text(written.flatMap(Written::asked)),
        written
            .filter(values -> !values.maybe().isEmpty())
            .map(
                values ->
                    values.maybe().stream()
                        .map(SettingValue::text)
                        .collect(Collectors.joining(",")))
            .orElse(NONE));
  }

  private static String text(Optional<SettingValue> value) {
    return value.map(SettingValue::text).orElse(NONE);
  }

  // ---- Reading ----

  /** Fills the table, which is empty, with what an earlier process has left. */
  void recover(Leases leases) {
    if (dir.isEmpty() || !Files.exists(dir.get().resolve(FILE))) {
      return;
    }
    open();
    opened.ifPresent(from -> recover(leases, from));
  }

  private void recover(Leases leases, Opened from) {
    Optional<List<String>> lines = from.directory.read(FILE);
    if (lines.isEmpty()) {
      return;
    }
    Recovery recovery = new Recovery(leases);
    try {
      table.locked(() -> recovery.read(lines.get()));
    } catch (IllegalArgumentException | IndexOutOfBoundsException | NoSuchElementException e) {
      table.locked(recovery::forget);
      from.directory.setAside(FILE, "a line of it makes no sense");
      return;
    }
    try {
      List<WriteLog.Line> writes = from.log.read();
      table.locked(() -> recovery.replay(writes));
      save();
      from.log.clear();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, cannotSave(e));
    }
  }
}
