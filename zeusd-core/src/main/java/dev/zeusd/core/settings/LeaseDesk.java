package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/** How leases are taken: first come first served, and all settings or none. Thread-safe. */
final class LeaseDesk {
  /** How long somebody who does not wait for others waits for what takes but a moment. */
  private static final Duration SHORT_PATIENCE = Duration.ofSeconds(2);

  private static final int ID_BYTES = 16;

  private final Leases leases;
  private final SettingTable table;
  private final SavedSettings saved;
  private final LockedClocks clocks;
  private final LeaseParts parts;

  /** Those who wait, in the order in which they came; guarded by the table's lock. */
  private final List<Waiting> line = new ArrayList<>();

  /** Somebody, and not somebody else who wants the same: so it is no record. */
  private static final class Waiting {
    final List<Setting> wanted;

    Waiting(List<Setting> wanted) {
      this.wanted = wanted;
    }
  }

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
    return table.locked(line::size);
  }

  // ---- Waiting, under the table's lock ----

  private void awaitFree(List<Setting> wanted, Duration wait) {
    Waiting me = new Waiting(wanted);
    line.add(me);
    long start = System.nanoTime();
    try {
      Optional<Obstacle> obstacle;
      while ((obstacle = obstacle(me)).isPresent()) {
        Optional<Lease> holder = obstacle.get().holder();
        boolean isShort = holder.isEmpty() && wait.compareTo(SHORT_PATIENCE) < 0;
        Duration patience = isShort ? SHORT_PATIENCE : wait;
        long restNanos = patience.toNanos() - (System.nanoTime() - start);
        if (restNanos > 0) {
          table.freed.awaitNanos(restNanos);
        } else if (holder.isEmpty()) {
          // A driver that hangs: whoever comes next has to live with that, and may.
          return;
        } else {
          throw holder.get().held(obstacle.get().setting());
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new LeaseException.Ended("interrupted while waiting for other leases to end");
    } finally {
      line.remove(me);
      table.freed.signalAll();
    }
  }

  /**
   * Why somebody cannot have what they want.
   *
   * @param holder who has it; empty while it is being put back, or is about to be taken by somebody
   *     who came earlier, which takes but a moment
   */
  private record Obstacle(Setting setting, Optional<Lease> holder) {}

  /** What is not free, or wanted by somebody who came earlier, whatever they wait for. */
  private Optional<Obstacle> obstacle(Waiting me) {
    for (Waiting earlier : line) {
      if (earlier == me) {
        return firstTaken(me.wanted);
      }
      Optional<Setting> common = earlier.wanted.stream().filter(me.wanted::contains).findFirst();
      if (common.isPresent()) {
        return firstTaken(earlier.wanted)
            .or(() -> Optional.of(new Obstacle(common.get(), Optional.empty())));
      }
    }
    throw new IllegalStateException("not in the line");
  }

  private Optional<Obstacle> firstTaken(List<Setting> wanted) {
    return wanted.stream()
        .map(table::known)
        .flatMap(Optional::stream)
        .filter(state -> !state.isFree())
        .map(state -> new Obstacle(state.setting, state.holder))
        .findFirst();
  }

  // ---- Taking ----

  private Lease begin(List<Setting> settings, LeaseRequest request) {
    awaitFree(settings, request.patience());
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

  /** What they are, as of a moment when nobody without a lease can change them any more. */
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
    settings.forEach(setting -> values.put(setting, clocks.valueOf(setting, gpu)));
    return values;
  }

  private void found(Lease lease, Map<Setting, SettingValue> values) {
    for (Setting setting : lease.settings()) {
      SettingState state = table.states.get(setting);
      // What an earlier lease has not put back is not what this one goes back to.
      state.found =
          state
              .change
              .map(Change::before)
              .or(() -> parts.baseline().of(setting))
              .or(() -> Optional.ofNullable(values.get(setting)));
    }
    table.changed(lease.settings());
  }
}
