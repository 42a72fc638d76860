package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
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

  private final LeaseParts parts;
  private final SettingTable table;
  private final LeaseDesk desk;
  private final LeaseEnds ends;
  private final LeaseWriter writer;
  private final SettingAccess unleased;
  private final ProcessLeases processes;
  private final LeaseWatch watch;

  /** Whether a thread watches the time. */
  private final boolean watches;

  /**
   * Goes on with what an earlier process has left in the state directory: its leases last for one
   * TTL from now, unless their holders come back.
   *
   * @param gpus the GPUs that there are by now
   * @param stateDir where to keep what must outlive the process; without it, nothing does
   * @param baseline what settings are to be while nobody has a lease of them
   * @param clock by which leases end
   * @param observer is told what happens without a request, from the beginning
   */
  public Leases(
      Supplier<List<DeviceWorker<Gpu>>> gpus,
      Optional<Path> stateDir,
      Baseline baseline,
      NanoClock clock,
      LeaseObserver observer) {
    this(gpus, stateDir, baseline, clock, clock::nanoTime, true, observer);
    wake();
  }

  /** By a clock that only tells the time; nobody watches it: {@link #step} is to be called. */
  Leases(
      Supplier<List<DeviceWorker<Gpu>>> gpus,
      Optional<Path> stateDir,
      Baseline baseline,
      LongSupplier nanoTime,
      LeaseObserver observer) {
    this(gpus, stateDir, baseline, NanoClock.SYSTEM, nanoTime, false, observer);
  }

  private Leases(
      Supplier<List<DeviceWorker<Gpu>>> gpus,
      Optional<Path> stateDir,
      Baseline baseline,
      NanoClock clock,
      LongSupplier nanoTime,
      boolean watches,
      LeaseObserver observer) {
    this.watches = watches;
    parts = LeaseParts.of(gpus, stateDir, baseline, nanoTime, this::wake, observer);
    table = parts.table();
    Restorer restorer = new Restorer(parts);
    desk = new LeaseDesk(this, parts);
    ends = new LeaseEnds(parts, restorer);
    writer = new LeaseWriter(parts);
    unleased = new Unleased(parts);
    watch = new LeaseWatch(parts, clock, ends, restorer);
    processes = new ProcessLeases(this, ends);
    parts.saved().recover(this);
  }

  /**
   * {@return whether leases, and what they have to put back, outlive this process; once there was
   * one}
   */
  public boolean isCrashSafe() {
    return parts.saved().isLasting();
  }

  /** {@return whether a lease holds a setting, or one has to be put back} */
  public boolean isInUse() {
    return !table.isEmpty();
  }

  /**
   * From now on, this is what settings are to be while nobody has a lease of them. What only the
   * former baseline has asked for stays as it is.
   *
   * @param baseline what is asked for; replaces the former one
   */
  public void setBaseline(Baseline baseline) {
    parts.baseline().replace(baseline);
    wake();
  }

  /** {@return access for those who have no lease} */
  public SettingAccess unleased() {
    return unleased;
  }

  /**
   * {@return what a setting is by now: as the GPU tells it or, for clocks, which no driver tells,
   * as far as they were set by this} On the GPU's thread.
   *
   * @param key which setting
   * @param gpu the GPU, whose thread this is
   * @throws DeviceException as the GPU's methods
   */
  public SettingValue valueOf(SettingKey key, Gpu gpu) {
    return parts.clocks().valueOf(new Setting(gpu.info().uuid().orElse(""), key), gpu);
  }

  /**
   * Access for a process that has no lease: these settings, as far as they are free, are its own
   * from now on, and are put back when it ends, or this process does.
   *
   * @param process belongs to these leases from now on, and is closed by them
   * @param holder who it is, in words that others may see
   * @param gpuIds the GPUs
   * @param settingKeys which settings of each of them
   * @return access for the process
   * @throws LeaseException.Held if another lease holds one of them
   * @throws LeaseException.NotSaved if that could not be kept over the death of this process
   */
  public SettingAccess ofProcess(
      ClientProcess process,
      String holder,
      Collection<Integer> gpuIds,
      Set<SettingKey> settingKeys) {
    return processes.access(process, holder, knownSettings(gpuIds, settingKeys), nameless(gpuIds));
  }

  /**
   * {@return the settings {@code settingKeys} of these GPUs}
   *
   * @param gpuIds the GPUs
   * @param settingKeys which settings of each of them
   * @throws LeaseException.Unreadable for GPUs whose UUID is not known
   */
  public List<Setting> settings(Collection<Integer> gpuIds, Set<SettingKey> settingKeys) {
    Map<Integer, DeviceException> nameless = nameless(gpuIds);
    if (!nameless.isEmpty()) {
      throw new LeaseException.Unreadable(nameless);
    }
    return knownSettings(gpuIds, settingKeys);
  }

  private Map<Integer, DeviceException> nameless(Collection<Integer> gpuIds) {
    Map<Integer, DeviceException> nameless = new TreeMap<>();
    for (DeviceWorker<Gpu> gpu : parts.gpus()) {
      if (gpuIds.contains(gpu.id()) && gpu.device().info().uuid().isEmpty()) {
        nameless.put(gpu.id(), whyNotLent(gpu.device()));
      }
    }
    return nameless;
  }

  private static DeviceException whyNotLent(Gpu gpu) {
    Optional<String> never = gpu.whyNeverLent();
    return never.isPresent()
        ? new DeviceException.NotSupported(never.get())
        : new DeviceException.Unavailable(
            "the GPU has not told its UUID, by which its settings are known; try again later");
  }

  /**
   * As {@link #settings}, but without GPUs whose UUID is not known: no lease can hold those.
   *
   * @param gpuIds the GPUs
   * @param settingKeys which settings of each of them
   * @return the settings
   */
  public List<Setting> knownSettings(Collection<Integer> gpuIds, Set<SettingKey> settingKeys) {
    List<Setting> settings = new ArrayList<>();
    for (DeviceWorker<Gpu> gpu : parts.gpus()) {
      Optional<String> uuid = gpu.device().info().uuid();
      if (gpuIds.contains(gpu.id()) && uuid.isPresent()) {
        settingKeys.forEach(key -> settings.add(new Setting(uuid.get(), key)));
      }
    }
    return settings;
  }

  /**
   * Takes a lease of these settings, all or none of them, and finds out what they are.
   *
   * @param settings of which GPUs and keys; at least one
   * @param request who wants it, for how long, and how long to wait for it
   * @return the lease
   * @throws LeaseException.Held if another lease holds one of them, and goes on to for {@code
   *     request.patience()}
   * @throws LeaseException.Unreadable for GPUs that do not tell
   * @throws LeaseException.NotSaved if it could not be kept over the death of this process
   * @throws LeaseException.Stopping if the calling thread is interrupted while it waits
   */
  public Lease take(List<Setting> settings, LeaseRequest request) {
    try {
      Lease lease = desk.take(settings, request);
      LOG.log(System.Logger.Level.INFO, "{0} begins: {1}", lease, parts.describe(settings));
      return lease;
    } finally {
      wake();
    }
  }

  /**
   * {@return the lease with this id}
   *
   * @param id as {@link Lease#id} tells it
   * @throws LeaseException.Ended if there is none
   */
  public Lease find(String id) {
    return table
        .locked(() -> Optional.ofNullable(table.leases.get(id)).filter(Lease::isActive))
        .orElseThrow(() -> new LeaseException.Ended("there is no such lease, or it has ended"));
  }

  /**
   * {@return the lease with this id, if its epoch is this}
   *
   * @param id as {@link Lease#id} tells it
   * @param epoch as {@link Lease#epoch} tells it
   * @throws LeaseException.Ended if there is none
   */
  public Lease find(String id, long epoch) {
    Lease lease = find(id);
    if (lease.epoch() != epoch) {
      throw new LeaseException.Ended("the lease with this id has another epoch");
    }
    return lease;
  }

  /** {@return those that there are, and what has to be put back of others} */
  public List<LeaseInfo> list() {
    return table.locked(table::infos);
  }

  /** As {@link Lease#end}. */
  SortedMap<Setting, Restored> end(Lease lease) {
    SortedMap<Setting, Restored> results = ends.begin(lease, "ended").await(PATIENCE);
    parts.saved().trySave();
    return results;
  }

  /** As {@link LeaseWatch#step}. */
  long step() {
    return watch.step();
  }

  /** Has somebody look what is due. */
  void wake() {
    if (watches) {
      watch.wake();
    }
  }

  /**
   * Ends all leases and puts back what it can in a short time; what is left is for the next
   * process. Idempotent.
   */
  @Override
  public void close() {
    if (!watch.close()) {
      return;
    }
    if (isInUse()) {
      List<Lease> all = table.locked(() -> table.activeLeases(lease -> true));
      long deadline = System.nanoTime() + PATIENCE_AT_END.toNanos();
      for (LeaseEnds.Ending ending : ends.beginAll(all, "ended, since zeusd stops")) {
        ending.await(Duration.ofNanos(deadline - System.nanoTime()));
      }
    }
    processes.close();
    table.locked(() -> table.changed(List.of()));
    if (!parts.clocks().isEmpty() || parts.saved().isLasting()) {
      parts.saved().trySave();
    }
  }

  // ---- For this package ----

  /** After these were found in what an earlier process has left. */
  void goOn(List<Lease> recovered) {
    recovered.forEach(processes::goOnAfterRestart);
    if (!parts.clocks().isEmpty()) {
      parts.clocks().adopt(parts.gpus());
    }
  }

  LeaseParts parts() {
    return parts;
  }

  /** How many wait for leases of others to end. */
  int waiting() {
    return desk.waiting();
  }

  /** Nobody waits for the ends of processes any more, as if this one was killed. */
  void leaveProcesses() {
    processes.close();
  }

  LeaseWriter writer() {
    return writer;
  }
}
