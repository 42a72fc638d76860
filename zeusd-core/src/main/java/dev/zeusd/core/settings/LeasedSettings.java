package dev.zeusd.core.settings;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The settings that one lease holds. But for {@link #all}, guarded by the lock of {@link
 * SettingTable}.
 */
final class LeasedSettings {
  private final SettingTable table;

  /** Replaced as a whole. */
  private volatile List<Setting> settings;

  LeasedSettings(SettingTable table, List<Setting> settings) {
    this.table = table;
    this.settings = settings.stream().sorted(Comparator.naturalOrder()).toList();
  }

  /** By GPU and in the order in which they are put back. */
  List<Setting> all() {
    return settings;
  }

  /** What each goes back to. */
  SortedMap<Setting, SettingValue> found() {
    SortedMap<Setting, SettingValue> values = new TreeMap<>();
    settings.forEach(each -> values.put(each, table.states.get(each).found.orElseThrow()));
    return values;
  }

  /** What {@code lease} has written to them stays, and is not put back. */
  void settle(Lease lease) {
    settings.stream()
        .filter(each -> table.isChangedBy(lease, each))
        .forEach(each -> table.states.get(each).settled());
  }

  /** Others can have one of them, if {@code lease} holds it still. */
  void letGoOf(Setting setting, Lease lease) {
    settings = settings.stream().filter(each -> !each.equals(setting)).toList();
    table
        .known(setting)
        .filter(state -> state.holder.equals(Optional.of(lease)))
        .ifPresent(SettingState::letGo);
    table.changed(List.of(setting));
  }

  /** Others can have them. */
  void letGo() {
    settings.forEach(each -> table.states.get(each).letGo());
    table.changed(settings);
  }
}
