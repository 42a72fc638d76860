package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.sampling.DeviceWorker;
import dev.zeusd.core.settings.Restored.Outcome;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * The leases of a node: who may change which settings, and how they come back.
 *
 * <p>Each lease ends: by its holder, when it is not renewed, or with this process. Then each
 * setting that it has changed goes back to what it was before the first change, unless somebody
 * else has changed it meanwhile; if that fails, it is tried again and again, and whoever takes it
 * meanwhile inherits what it goes back to. With a state directory all of this outlives the process,
 * however that dies; until the machine is booted anew, since drivers forget, too.
 *
 * <p>Thread-safe. A thread of its own watches the time, while there is something to watch.
 */
public final class Leases implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());

  /** How long somebody waits for settings to be put back; a driver that takes longer hangs. */
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  /** The same when the process ends. */
  private static final Duration PATIENCE_AT_END = Duration.ofMillis(400);

  /** How often to look whether a driver was loaded anew, while that matters. */
  private static final long LOOK_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final Supplier<List<DeviceWorker<Gpu>>> gpus;
  private final Baseline baseline;
  private final LongSupplier nanoTime;
  private final SettingTable table = new SettingTable();
  private final LockedClocks clocks = new LockedClocks();
  private final SavedSettings saved;
  private final Restorer restorer;
  private final LeaseDesk desk;
  private final SettingAccess unleased = new Unleased(table, clocks);
  private final BaselineKeeper baselineKeeper;

  // Guarded by this.
  private final boolean watches;

  /** Watches the time, or null. */
  private Thread watch;

  private boolean closed;

  /**
   * Goes on with what an earlier process has left in the state directory: its leases last for one
   * TTL from now, unless their holders come back.
   *
   * @param gpus the GPUs that there are by now
   * @param stateDir where to keep what must outlive the process; without it, nothing does
   */
  public Leases(
      Supplier<List<DeviceWorker<Gpu>>> gpus, Optional<Path> stateDir, Baseline baseline) {
    this(gpus, stateDir, baseline, System::nanoTime, true);
    wake();
  }

  /**
   * The same by another clock.
   *
   * @param watches if not, nobody watches the time: {@link #step} is to be called
   */
  Leases(
      Supplier<List<DeviceWorker<Gpu>>> gpus,
      Optional<Path> stateDir,
      Baseline baseline,
      LongSupplier nanoTime,
      boolean watches) {
    this.gpus = gpus;
    this.baseline = baseline;
    this.nanoTime = nanoTime;
    this.watches = watches;
    saved = new SavedSettings(stateDir, table, clocks);
    restorer = new Restorer(gpus, table, clocks, nanoTime, this::wake);
    desk = new LeaseDesk(this, table, saved, clocks);
    baselineKeeper = new BaselineKeeper(baseline, table);
    saved.recover(this);
    if (!clocks.isEmpty()) {
      clocks.adopt(gpus.get());
    }
  }

  /** Whether leases, and what they have to put back, outlive this process; once there was one. */
  public boolean isCrashSafe() {
    return saved.isLasting();
  }

  /** Whether a lease holds a setting, or one has to be put back. */
  public boolean isInUse() {
    return !table.isEmpty();
  }

  /** Access for those who have no lease. */
  public SettingAccess unleased() {
    return unleased;
  }

  /**
   * The settings {@code keys} of these GPUs.
   *
   * @throws LeaseException.Unreadable for GPUs whose UUID is not known
   */
  public List<Setting> settings(Collection<Integer> gpuIds, Set<SettingKey> keys) {
    Map<Integer, DeviceException> unknown = new TreeMap<>();
    for (DeviceWorker<Gpu> gpu : gpus.get()) {
      if (gpuIds.contains(gpu.id()) && gpu.device().info().uuid().isEmpty()) {
        unknown.put(
            gpu.id(),
            new DeviceException.Unavailable(
                "the GPU has not told its UUID, by which its settings are known; try again later"));
      }
    }
    if (!unknown.isEmpty()) {
      throw new LeaseException.Unreadable(unknown);
    }
    return knownSettings(gpuIds, keys);
  }

  /** The same, without those of GPUs whose UUID is not known: no lease can hold them. */
  public List<Setting> knownSettings(Collection<Integer> gpuIds, Set<SettingKey> keys) {
    List<Setting> settings = new ArrayList<>();
    for (DeviceWorker<Gpu> gpu : gpus.get()) {
      Optional<String> uuid = gpu.device().info().uuid();
      if (gpuIds.contains(gpu.id()) && uuid.isPresent()) {
        keys.forEach(key -> settings.add(new Setting(uuid.get(), key)));
      }
    }
    return settings;
  }

  /**
   * Takes a lease of these settings, all or none of them, and finds out what they are.
   *
   * @throws LeaseException.Held if another lease holds one of them, and goes on to for {@code
   *     request.patience()}
   * @throws LeaseException.Unreadable for GPUs that do not tell
   * @throws LeaseException.NotSaved if it could not be kept over the death of this process
   * @throws LeaseException.Ended if the calling thread is interrupted while it waits
   */
  public Lease take(List<Setting> settings, LeaseRequest request) {
    try {
      Lease lease = desk.take(settings, request);
      LOG.log(System.Logger.Level.INFO, "{0} begins: {1}", lease, describe(settings));
      return lease;
    } finally {
      wake();
    }
  }

  /**
   * The lease with this id.
   *
   * @throws LeaseException.Ended if there is none
   */
  public Lease find(String id) {
    return table
        .locked(() -> Optional.ofNullable(table.leases.get(id)).filter(Lease::isActive))
        .orElseThrow(
            () ->
                new LeaseException.Ended(
                    "there is no such lease, or it has ended; take another one with POST /lease"));
  }

  /**
   * The lease with this id, if its epoch is this.
   *
   * @throws LeaseException.Ended if there is none
   */
  public Lease find(String id, long epoch) {
    Lease lease = find(id);
    if (lease.epoch() != epoch) {
      throw new LeaseException.Ended("the lease with this id has another epoch");
    }
    return lease;
  }

  /** Those that there are, and what has to be put back of others. */
  public List<LeaseInfo> list() {
    List<LeaseInfo> infos = new ArrayList<>();
    table.locked(
        () -> {
          for (Lease lease : table.leases.values()) {
            infos.add(
                new LeaseInfo(
                    lease.id(),
                    lease.holder(),
                    lease.settings(),
                    lease.expiresInMs(),
                    lease.state(),
                    new TreeMap<>()));
          }
          infos.addAll(pending());
        });
    return infos;
  }

  private List<LeaseInfo> pending() {
    Map<Optional<Lease>, SortedMap<Setting, String>> byLease = new LinkedHashMap<>();
    for (SettingState state : table.states.values()) {
      if (state.isPending()) {
        byLease
            .computeIfAbsent(state.change.get().by(), lease -> new TreeMap<>())
            .put(state.setting, state.failure.orElse("not tried yet"));
      }
    }
    List<LeaseInfo> infos = new ArrayList<>();
    byLease.forEach(
        (lease, problems) ->
            infos.add(
                new LeaseInfo(
                    lease.map(Lease::id).orElse(""),
                    lease.map(Lease::holder).orElse("baseline"),
                    List.copyOf(problems.keySet()),
                    0,
                    LeaseState.PENDING,
                    problems)));
    return infos;
  }

  // ---- Ending ----

  SortedMap<Setting, Restored> end(Lease lease) {
    Ending ending = begin(lease, "ended");
    SortedMap<Setting, Restored> results = ending.await(PATIENCE);
    saved.trySave();
    return results;
  }

  /**
   * What is under way.
   *
   * @param known of what there is nothing to do about
   * @param running of what is being put back
   */
  private record Ending(
      Map<Setting, Restored> known, Map<Setting, CompletableFuture<Restored>> running) {
    SortedMap<Setting, Restored> await(Duration patience) {
      long deadline = System.nanoTime() + patience.toNanos();
      SortedMap<Setting, Restored> results = new TreeMap<>(known);
      running.forEach((setting, result) -> results.put(setting, await(result, deadline)));
      return results;
    }

    private static Restored await(CompletableFuture<Restored> result, long deadline) {
      try {
        return result.get(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
      } catch (TimeoutException e) {
        return Restored.pending("the GPU does not answer");
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return Restored.pending("interrupted while waiting for the GPU");
      } catch (ExecutionException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private Ending begin(Lease lease, String why) {
    Map<Setting, Restored> known = new TreeMap<>();
    List<Setting> left = new ArrayList<>();
    table.locked(
        () -> {
          List<Setting> changed = lease.settings().stream().filter(table::hasChange).toList();
          lease.finish();
          for (Setting setting : lease.settings()) {
            if (table.hasChange(setting)) {
              left.add(setting);
            } else {
              Outcome outcome = changed.contains(setting) ? Outcome.KEPT : Outcome.UNCHANGED;
              known.put(setting, Restored.as(outcome));
            }
          }
        });
    LOG.log(System.Logger.Level.INFO, "{0}: {1}", lease, why);
    Map<Setting, CompletableFuture<Restored>> running = restorer.start(left);
    left.removeAll(running.keySet());
    // A call for an earlier lease hangs; whoever watches the time goes on with it.
    left.forEach(each -> known.put(each, Restored.pending("the GPU does not answer")));
    wake();
    return new Ending(known, running);
  }

  /** As {@link #begin} of each that has not ended. */
  private List<Ending> beginAll(List<Lease> leases, String why) {
    List<Ending> endings = new ArrayList<>();
    for (Lease lease : leases) {
      try {
        endings.add(begin(lease, why));
      } catch (LeaseException.Ended e) {
        // By its holder, just now.
      }
    }
    return endings;
  }

  // ---- Time ----

  /** Does what is due, and says in how many ns there may be more to do. */
  long step() {
    long now = now();
    beginAll(
        table.locked(
            () -> table.leases.values().stream().filter(each -> each.isExpired(now)).toList()),
        "expired");
    if (isWatchingGpus()) {
      baselineKeeper.look(gpus.get());
      if (clocks.forgetOutdated(gpus.get())) {
        table.locked(() -> table.changed(List.of()));
      }
      restorer.start(due(now));
    }
    if (saved.isDirty() || saved.isLogLong()) {
      saved.trySave();
    }
    return pauseNanos(now);
  }

  /** Whether what comes of GPUs matters, although nobody asks. */
  private boolean isWatchingGpus() {
    return !baseline.values().isEmpty()
        || !clocks.isEmpty()
        || table.locked(() -> table.states.values().stream().anyMatch(SettingState::isPending));
  }

  private List<Setting> due(long now) {
    Map<String, Integer> generations = new TreeMap<>();
    for (DeviceWorker<Gpu> gpu : gpus.get()) {
      Gpu device = gpu.device();
      device.info().uuid().ifPresent(uuid -> generations.put(uuid, device.driverGeneration()));
    }
    return table.locked(
        () ->
            table.states.values().stream()
                .filter(state -> state.isDue(now, generations.get(state.setting.gpuUuid())))
                .map(state -> state.setting)
                .toList());
  }

  private long pauseNanos(long now) {
    boolean looks = isWatchingGpus();
    return table.locked(
        () -> {
          long first =
              table.leases.values().stream()
                  .mapToLong(lease -> lease.restNanos(now))
                  .min()
                  .orElse(Long.MAX_VALUE);
          return Math.max(0, looks ? Math.min(first, LOOK_NANOS) : first);
        });
  }

  /** Has somebody look what is due. */
  synchronized void wake() {
    if (!watches || closed) {
      return;
    }
    if (watch != null) {
      LockSupport.unpark(watch);
    } else if (isInUse() || !baseline.values().isEmpty() || saved.isDirty()) {
      // It waits for times, and for the disk, which no device's thread may do.
      watch = Thread.ofPlatform().daemon().name("leases").start(this::watch);
    }
  }

  private void watch() {
    do {
      try {
        LockSupport.parkNanos(this, step());
      } catch (RuntimeException e) {
        LOG.log(System.Logger.Level.ERROR, "unexpected failure of leases", e);
        LockSupport.parkNanos(this, LOOK_NANOS);
      }
    } while (!endIfIdle());
  }

  private synchronized boolean endIfIdle() {
    if (closed || !isInUse() && baseline.values().isEmpty() && !saved.isDirty()) {
      watch = null;
    }
    return watch == null;
  }

  /**
   * Ends all leases and puts back what it can in a short time; what is left is for the next
   * process. Idempotent.
   */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      LockSupport.unpark(watch);
    }
    if (isInUse()) {
      List<Lease> all =
          table.locked(() -> table.leases.values().stream().filter(Lease::isActive).toList());
      long deadline = System.nanoTime() + PATIENCE_AT_END.toNanos();
      for (Ending ending : beginAll(all, "ended, since zeusd stops")) {
        ending.await(Duration.ofNanos(deadline - System.nanoTime()));
      }
    }
    table.locked(() -> table.changed(List.of()));
    if (!clocks.isEmpty() || saved.isLasting()) {
      saved.trySave();
    }
  }

  // ---- For this package ----

  List<DeviceWorker<Gpu>> gpus() {
    return gpus.get();
  }

  SettingTable table() {
    return table;
  }

  SavedSettings saved() {
    return saved;
  }

  LockedClocks clocks() {
    return clocks;
  }

  Baseline baseline() {
    return baseline;
  }

  long now() {
    return nanoTime.getAsLong();
  }

  /** Settings in words, by the ids of their GPUs. */
  String describe(Collection<Setting> settings) {
    Map<String, Integer> ids = new TreeMap<>();
    for (DeviceWorker<Gpu> gpu : gpus.get()) {
      gpu.device().info().uuid().ifPresent(uuid -> ids.put(uuid, gpu.id()));
    }
    SortedMap<SettingKey, List<String>> byKey = new TreeMap<>();
    for (Setting setting : settings) {
      String uuid = setting.gpuUuid();
      byKey
          .computeIfAbsent(setting.key(), key -> new ArrayList<>())
          .add(ids.containsKey(uuid) ? ids.get(uuid).toString() : uuid);
    }
    List<String> texts = new ArrayList<>();
    byKey.forEach((key, gpu) -> texts.add(key.wireName() + " of GPU " + String.join(", ", gpu)));
    return String.join("; ", texts);
  }
}
