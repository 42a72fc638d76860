package dev.zeusd.core.settings;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** The lines of {@link SavedSettings}' file, which {@link Recovery} reads. */
final class SavedText {
  /** What is not there. */
  static final String NONE = "-";

  private SavedText() {}

  /**
   * Adds all of it to {@code lines}; under the table's lock.
   *
   * @return the version that this is
   */
  static long write(SettingTable table, LockedClocks clocks, List<String> lines) {
    lines.add("epoch " + table.lastEpoch);
    lines.add("lines " + table.lines);
    Set<Lease> leases = new LinkedHashSet<>(table.leases.values());
    table.states.values().stream()
        .flatMap(state -> state.change.stream())
        .flatMap(change -> change.by().stream())
        .forEach(leases::add);
    leases.stream().map(SavedText::describe).forEach(lines::add);
    table.states.values().stream().map(SavedText::describe).forEach(lines::add);
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
}
