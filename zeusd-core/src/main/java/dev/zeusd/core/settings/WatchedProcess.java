package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A process that knows nothing of leases, while it is watched: it takes what it needs when it first
 * changes a setting, and what it has ends with it. Thread-safe.
 */
final class WatchedProcess {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());
  private static final Set<SettingKey> ALL_KEYS = Set.of(SettingKey.values());

  private final Leases leases;
  private final LeaseEnds ends;
  private final SettingTable table;
  final ClientProcess process;
  final long key;

  /** One request of a process at a time takes leases: others would find what they need held. */
  private final ReentrantLock taking = new ReentrantLock();

  /** How many writes of each are still to come. Guarded by the table's lock. */
  private final Map<Setting, Integer> expected = new HashMap<>();

  /** How many requests are at it. Guarded by {@link ProcessLeases}. */
  int users;

  private volatile boolean ended;

  /** One that has nothing yet; {@code key} is what its end is told by. */
  WatchedProcess(Leases leases, LeaseEnds ends, ClientProcess process, long key) {
    this.leases = leases;
    this.ends = ends;
    table = leases.parts().table();
    this.process = process;
    this.key = key;
  }

  /** Takes what is missing of these settings. */
  Access access(List<Setting> wanted, LeaseRequest request) {
    Map<Integer, DeviceException> failures = new TreeMap<>();
    Map<Setting, Lease> held;
    taking.lock();
    try {
      held = held(wanted);
      List<Setting> missing = new ArrayList<>(wanted);
      missing.removeAll(held.keySet());
      while (!missing.isEmpty()) {
        try {
          Lease lease = leases.take(missing, request);
          lease.keep();
          missing.forEach(setting -> held.put(setting, lease));
          table.locked(() -> expect(Set.copyOf(missing)));
          break;
        } catch (LeaseException.Unreadable e) {
          // The other GPUs' work is done even so.
          Set<Integer> failing = e.failures().keySet();
          if (!missing.removeAll(leases.knownSettings(failing, ALL_KEYS))) {
            throw e;
          }
          failures.putAll(e.failures());
        }
      }
    } finally {
      taking.unlock();
      endIfOver();
    }
    return new Access(this, held, failures);
  }

  /** No other request lets go of these before this one has written them; under the table's lock. */
  private void expect(Set<Setting> wanted) {
    wanted.forEach(setting -> expected.merge(setting, 1, Integer::sum));
  }

  /** What was not set after all, and no other request is about to set, is anybody's again. */
  private void written(Lease lease, Setting setting) {
    boolean isOver =
        table.locked(
            () -> {
              expected.computeIfPresent(setting, (key, count) -> count > 1 ? count - 1 : null);
              if (!lease.isActive()
                  || expected.containsKey(setting)
                  || table.isChangedBy(lease, setting)) {
                return false;
              }
              lease.letGoOf(setting);
              return !lease.isActive();
            });
    if (isOver) {
      LOG.log(System.Logger.Level.INFO, "{0}: ended, since nothing was set", lease);
      leases.wake();
    }
  }

  /** Of these settings, those that the process has; also by a lease of before a restart. */
  private Map<Setting, Lease> held(List<Setting> wanted) {
    return table.locked(
        () -> {
          Map<Setting, Lease> held = new HashMap<>();
          for (Setting setting : wanted) {
            Optional<Lease> own =
                table
                    .known(setting)
                    .flatMap(state -> state.holder)
                    .filter(lease -> lease.isActive() && isOwn(lease));
            own.ifPresent(lease -> held.put(setting, lease));
          }
          held.values().stream()
              .filter(lease -> !lease.term().isKept())
              .forEach(lease -> lease.term().keep(leases.parts().now()));
          expect(held.keySet());
          return held;
        });
  }

  private boolean isOwn(Lease lease) {
    return lease.process().equals(Optional.of(process.id()));
  }

  /** The process has ended. */
  void end() {
    ended = true;
    endIfOver();
  }

  /** Also after the process has ended while a lease was being taken. */
  private void endIfOver() {
    if (ended && taking.tryLock()) {
      try {
        ends.beginAll(own(), "ended with " + process.id());
      } finally {
        taking.unlock();
      }
    }
  }

  private List<Lease> own() {
    return table.locked(() -> table.activeLeases(this::isOwn));
  }

  boolean isIdle() {
    return users == 0 && own().isEmpty();
  }

  /**
   * What a request of a process may change.
   *
   * @param client the process
   * @param held by which leases
   * @param failures GPUs whose settings cannot be lent, by id
   */
  record Access(
      WatchedProcess client, Map<Setting, Lease> held, Map<Integer, DeviceException> failures)
      implements SettingAccess {
    @Override
    public void check(List<Setting> wanted) {
      // They are held, or their GPUs fail one by one.
    }

    @Override
    public void write(Gpu gpu, SettingValue value) {
      DeviceException failure = failures.get(gpu.info().id());
      if (failure != null) {
        throw failure;
      }
      Setting setting = new Setting(gpu.info().uuid().orElse(""), value.key());
      Lease lease = held.get(setting);
      try {
        lease.write(gpu, value);
      } finally {
        client.written(lease, setting);
      }
    }
  }
}
