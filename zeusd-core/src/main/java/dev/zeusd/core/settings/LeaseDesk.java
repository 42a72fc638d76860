package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import java.io.IOException;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/** How leases are taken: first come first served, and all settings or none. Thread-safe. */
final class LeaseDesk {
  private static final int ID_BYTES = 16;

  private final Leases leases;
  private final SettingTable table;
  private final SavedSettings saved;
  private final LockedClocks clocks;
  private final LeaseParts parts;

  LeaseDesk(Leases leases, LeaseParts parts) {
    this.leases = leases;
    this.parts = parts;
    table = parts.table();
    saved = parts.saved();
    clocks = parts.clocks();
  }

  /** As {@link Leases#take}. */
  Lease take(List<Setting> settings, LeaseRequest request) {
    Lease lease = table.locked(() -> begin(settings, request));
    try {
      Map<Setting, SettingValue> values = readAll(settings);
      table.locked(() -> found(lease, values));
      saved.save();
      table.locked(lease::start);
      return lease;
    } catch (IOException e) {
      table.locked(lease::release);
      throw new LeaseException.NotSaved(
          saved.cannotSave(e) + "; without it the settings could not be put back after a crash", e);
    } catch (RuntimeException e) {
      table.locked(lease::release);
      throw e;
    }
  }

  /** How many wait. */
  int waiting() {
    return table.locked(table.line::length);
  }

  // ---- Taking ----

  private Lease begin(List<Setting> settings, LeaseRequest request) {
    table.line.awaitFree(settings, request.patience());
    // No two are the same, even where the state directory was lost.
    table.lastEpoch = Math.max(table.lastEpoch + 1, System.currentTimeMillis());
    Lease lease = new Lease(leases, newId(), table.lastEpoch, request, settings);
    table.leases.put(lease.id(), lease);
    settings.forEach(setting -> table.stateOf(setting).holder = Optional.of(lease));
    return lease;
  }

  private static final class Ids {
    /** Made when the first id is. */
    private static final SecureRandom RANDOM = new SecureRandom();
  }

  private static String newId() {
    byte[] bytes = new byte[ID_BYTES];
    Ids.RANDOM.nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  /**
   * What they go back to: a baseline, or what they are as of a moment when nobody without a lease
   * can change them any more.
   */
  private Map<Setting, SettingValue> readAll(List<Setting> settings) {
    Map<Integer, CompletableFuture<Map<Setting, SettingValue>>> running = new TreeMap<>();
    Map<Integer, DeviceException> failures = new TreeMap<>();
    for (DeviceWorker<Gpu> gpu : parts.gpus()) {
      Optional<String> uuid = gpu.device().info().uuid();
      List<Setting> its =
          settings.stream().filter(each -> uuid.equals(Optional.of(each.gpuUuid()))).toList();
      if (!its.isEmpty()) {
        try {
          running.put(gpu.id(), gpu.submit(device -> read(its, device)));
        } catch (DeviceException e) {
          failures.put(gpu.id(), e);
        }
      }
    }
    long deadline = System.nanoTime() + Answer.PATIENCE.toNanos();
    Map<Setting, SettingValue> values = new TreeMap<>();
    running.forEach(
        (id, result) -> {
          try {
            values.putAll(Answer.await(result, deadline));
          } catch (DeviceException e) {
            failures.put(id, e);
          }
        });
    if (!failures.isEmpty()) {
      throw new LeaseException.Unreadable(failures);
    }
    return values;
  }

  private Map<Setting, SettingValue> read(List<Setting> settings, Gpu gpu) {
    Map<Setting, SettingValue> values = new TreeMap<>();
    for (Setting setting : settings) {
      SettingValue current = clocks.valueOf(setting, gpu);
      values.put(setting, parts.baseline().of(setting, gpu).orElse(current));
    }
    return values;
  }

  private void found(Lease lease, Map<Setting, SettingValue> values) {
    for (Setting setting : lease.settings()) {
      SettingState state = table.states.get(setting);
      // What an earlier lease has not put back is not what this one goes back to.
      state.found =
          state
              .leasedChange()
              .map(Change::before)
              .or(() -> Optional.ofNullable(values.get(setting)));
    }
    table.changed(lease.settings());
  }
}
