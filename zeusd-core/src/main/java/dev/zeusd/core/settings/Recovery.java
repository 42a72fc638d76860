package dev.zeusd.core.settings;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Reads what {@link SavedSettings} has written: leases that were there when the process died go on,
 * and what they had changed is known again.
 */
final class Recovery {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());
  private static final int LEASE_PARTS = 8;
  private static final int SETTING_PARTS = 10;
  private static final int CLOCKS_PARTS = 4;

  private final Leases leases;
  private final SettingTable table;
  private final LockedClocks clocks;

  // What was read; nobody else knows of it before it is installed.
  private long lastEpoch;
  private long lines;
  private final Map<String, Lease> byId = new HashMap<>();
  private final List<Lease> active = new ArrayList<>();
  private final Map<Setting, SettingState> states = new TreeMap<>();
  private final Map<Setting, SettingValue> lockedClocks = new HashMap<>();

  /** Who had changed a setting before the last value was asked for. */
  private final Map<Setting, Optional<Lease>> changedBefore = new HashMap<>();

  Recovery(Leases leases) {
    this.leases = leases;
    table = leases.parts().table();
    clocks = leases.parts().clocks();
  }

  /**
   * Reads the lines of the file.
   *
   * @throws IllegalArgumentException or {@link IndexOutOfBoundsException} or {@link
   *     NoSuchElementException} for a line that makes no sense; it is of no use then
   */
  void read(List<String> text) {
    List<String[]> settings = new ArrayList<>();
    List<String[]> leaseLines = new ArrayList<>();
    for (String line : text) {
      String[] parts = line.split(" ");
      switch (parts[0]) {
        case "epoch" -> lastEpoch = Long.parseLong(parts[1]);
        case "lines" -> lines = Long.parseLong(parts[1]);
        case "lease" -> leaseLines.add(checked(parts, LEASE_PARTS));
        case "clocks" -> {
          if (isKnown(checked(parts, CLOCKS_PARTS))) {
            readClocks(parts);
          }
        }
        case "setting" -> {
          if (isKnown(checked(parts, SETTING_PARTS))) {
            settings.add(parts);
          }
        }
        default -> throw new IllegalArgumentException(line);
      }
    }
    leaseLines.forEach(parts -> readLease(parts, settings));
    settings.forEach(this::readSetting);
  }

  private static String[] checked(String[] parts, int count) {
    if (parts.length != count) {
      throw new IllegalArgumentException(Arrays.toString(parts));
    }
    return parts;
  }

  /** A later version, which was here before, may know more settings: they cost themselves. */
  private static boolean isKnown(String[] parts) {
    boolean isKnown = SettingKey.of(parts[2]).isPresent();
    if (!isKnown) {
      LOG.log(
          System.Logger.Level.WARNING,
          "{0} of GPU {1}, which a later version has changed, is not put back",
          parts[2],
          WriteLog.decode(parts[1]));
    }
    return isKnown;
  }

  private void readLease(String[] parts, List<String[]> settings) {
    String id = parts[1];
    LeaseRequest request =
        new LeaseRequest(
            WriteLog.decode(parts[6]),
            Duration.ofMillis(Long.parseLong(parts[3])),
            Duration.ZERO,
            LeaseRequest.OnEnd.valueOf(parts[4]),
            Optional.of(parts[7])
                .filter(text -> !text.equals(SavedText.NONE))
                .map(ClientProcess.Id::parse));
    List<Setting> held =
        settings.stream().filter(each -> each[3].equals(id)).map(Recovery::setting).toList();
    Lease lease = new Lease(leases, id, Long.parseLong(parts[2]), request, held);
    byId.put(id, lease);
    if (parts[5].equals("active")) {
      active.add(lease);
    } else {
      lease.term().end();
    }
  }

  private void readClocks(String[] parts) {
    Setting setting = setting(parts);
    lockedClocks.put(setting, SettingValue.parse(setting.key(), parts[3]));
  }

  private static Setting setting(String[] parts) {
    return new Setting(WriteLog.decode(parts[1]), SettingKey.of(parts[2]).orElseThrow());
  }

  private void readSetting(String[] parts) {
    Setting setting = setting(parts);
    SettingState state = states.computeIfAbsent(setting, SettingState::new);
    state.holder = lease(parts[3]);
    state.found = value(setting, parts[4]);
    Written written =
        new Written(value(setting, parts[7]), value(setting, parts[8]), values(setting, parts[9]));
    Optional<Lease> by = lease(parts[6]);
    state.change =
        value(setting, parts[5]).map(before -> new Change(before, written, Change.UNKNOWN, by));
  }

  private Optional<Lease> lease(String id) {
    return id.equals(SavedText.NONE)
        ? Optional.empty()
        : Optional.of(Optional.ofNullable(byId.get(id)).orElseThrow());
  }

  private static Optional<SettingValue> value(Setting setting, String text) {
    return text.equals(SavedText.NONE)
        ? Optional.empty()
        : Optional.of(SettingValue.parse(setting.key(), text));
  }

  private static List<SettingValue> values(Setting setting, String texts) {
    return texts.equals(SavedText.NONE)
        ? List.of()
        : Arrays.stream(texts.split(","))
            .map(text -> SettingValue.parse(setting.key(), text))
            .toList();
  }

  /** What was written after the file was. */
  void replay(List<WriteLog.Line> writes) {
    long saved = lines;
    Set<Setting> replayed = new HashSet<>();
    for (WriteLog.Line line : writes) {
      if (line.number() > saved) {
        replayed.add(line.setting());
        Optional.ofNullable(states.get(line.setting())).ifPresent(state -> replay(state, line));
        lines = Math.max(lines, line.number());
      }
    }
    states.values().forEach(state -> recoverClocks(state, replayed.contains(state.setting)));
    states.values().forEach(Recovery::doubtWhatWasUnderWay);
  }

  /** Nobody knows whether the driver got the value that was being written at the end. */
  private static void doubtWhatWasUnderWay(SettingState state) {
    state.change = state.change.map(change -> change.with(change.written().inDoubt(), change.by()));
  }

  /**
   * The last value that was written has most likely been taken. If that was before the file was
   * saved, though, the file knows better: drivers may have forgotten it by then.
   */
  private void recoverClocks(SettingState state, boolean isNewer) {
    Optional<Written> written = state.change.map(Change::written);
    written
        .flatMap(Written::asked)
        .or(() -> written.filter(each -> isNewer).flatMap(Written::sure))
        .ifPresent(value -> lockedClocks.put(state.setting, value));
  }

  private void replay(SettingState state, WriteLog.Line line) {
    Optional<Lease> holder = state.holder.filter(lease -> lease.epoch() == line.epoch());
    if (holder.isEmpty() || state.found.isEmpty()) {
      return;
    }
    Optional<Change> leased = state.leasedChange();
    Optional<Lease> earlier = leased.flatMap(Change::by).or(() -> holder);
    Change change =
        leased.orElseGet(
            () -> new Change(state.found.get(), Written.NOTHING, Change.UNKNOWN, holder));
    if (line.asked().isPresent()) {
      changedBefore.put(line.setting(), earlier);
      change = change.with(change.written().ask(line.asked().get()), holder);
    } else {
      change =
          change.with(
              change.written().failed(), changedBefore.getOrDefault(line.setting(), holder));
    }
    state.change = Optional.of(change);
  }

  /**
   * Adds all of it to the table, under its lock. Where the file could not be read at the start,
   * some settings may have been lent by now; they stay so, and inherit what they go back to.
   *
   * @return the leases that go on
   */
  List<Lease> install() {
    table.lastEpoch = Math.max(table.lastEpoch, lastEpoch);
    table.lines = Math.max(table.lines, lines);
    lockedClocks.forEach(clocks::recover);
    for (SettingState state : states.values()) {
      Optional<SettingState> known = table.known(state.setting);
      known.ifPresent(present -> handOn(state, present));
      if (known.isEmpty()) {
        table.add(state);
      }
    }
    active.removeIf(lease -> lease.settings().isEmpty());
    active.forEach(Lease::goOn);
    table.changed(List.of());
    return active;
  }

  private static void handOn(SettingState from, SettingState to) {
    from.holder.ifPresent(lease -> lease.letGoOf(from.setting));
    if (from.leasedChange().isPresent()) {
      SettingValue before = from.change.get().before();
      to.found = to.found.map(value -> before);
      to.change = to.change.map(change -> change.backTo(before)).or(() -> from.change);
    }
  }
}
