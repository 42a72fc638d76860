package dev.zeusd.core.settings;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import java.util.function.Supplier;

/**
 * All settings that are lent or have to be put back, and the leases. Nothing slow happens under its
 * lock: no call of a driver, and no waiting for a disk.
 */
final class SettingTable {
  private final ReentrantLock lock = new ReentrantLock();

  /** There is nothing in it: for writes without a lease, which have nothing to do with it then. */
  private volatile boolean empty = true;

  // From here on: guarded by the lock.

  /** Those who wait for settings to become free. */
  final LeaseLine line = new LeaseLine(this);

  final SortedMap<Setting, SettingState> states = new TreeMap<>();

  /** Those that have not ended, by id. */
  final Map<String, Lease> leases = new LinkedHashMap<>();

  long lastEpoch;

  /** Counts what has to be in the state directory. */
  long version;

  /** Counts the lines of {@link WriteLog}. */
  long lines;

  boolean isEmpty() {
    return empty;
  }

  /** To wait for something under the lock. */
  Condition newCondition() {
    return lock.newCondition();
  }

  <T> T locked(Supplier<T> action) {
    lock.lock();
    try {
      return action.get();
    } finally {
      lock.unlock();
    }
  }

  void locked(Runnable action) {
    lock.lock();
    try {
      action.run();
    } finally {
      lock.unlock();
    }
  }

  // From here on: called under the lock.

  SettingState stateOf(Setting setting) {
    empty = false;
    return states.computeIfAbsent(setting, SettingState::new);
  }

  /** One that was not known. */
  void add(SettingState state) {
    empty = false;
    states.put(state.setting, state);
  }

  /** Of those that are had, and have not ended, these. */
  List<Lease> activeLeases(Predicate<Lease> which) {
    return leases.values().stream().filter(lease -> lease.isActive() && which.test(lease)).toList();
  }

  Optional<SettingState> known(Setting setting) {
    return Optional.ofNullable(states.get(setting));
  }

  boolean hasChange(Setting setting) {
    return known(setting).flatMap(state -> state.change).isPresent();
  }

  /** Whether it is what this lease has written, or may be. */
  boolean isChangedBy(Lease lease, Setting setting) {
    return known(setting)
        .filter(state -> state.change.flatMap(Change::by).equals(Optional.of(lease)))
        .isPresent();
  }

  /** The leases, and what has to be put back of others. */
  List<LeaseInfo> infos() {
    Map<Optional<Lease>, SortedMap<Setting, String>> pending = new LinkedHashMap<>();
    for (SettingState state : states.values()) {
      if (state.isPending()) {
        pending
            .computeIfAbsent(state.change.get().by(), lease -> new TreeMap<>())
            .put(state.setting, state.failure.orElse("not tried yet"));
      }
    }
    List<LeaseInfo> infos = new ArrayList<>();
    leases.values().forEach(lease -> infos.add(LeaseInfo.of(lease)));
    pending.forEach((lease, problems) -> infos.add(LeaseInfo.pending(lease, problems)));
    return infos;
  }

  /** After a change that outlives the process; forgets what is over, and lets others have it. */
  void changed(Collection<Setting> settings) {
    for (Setting setting : settings) {
      SettingState state = states.get(setting);
      if (state != null && state.isForgettable()) {
        states.remove(setting);
      }
    }
    empty = states.isEmpty();
    version++;
    if (!settings.isEmpty()) {
      line.look();
    }
  }
}
