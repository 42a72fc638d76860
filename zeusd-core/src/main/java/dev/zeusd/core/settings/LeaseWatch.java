package dev.zeusd.core.settings;

import dev.zeusd.core.worker.NanoClock;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * Watches the time: ends leases that expire, puts back what has failed, and sees to it that GPUs
 * are as a baseline has them. A thread of its own does, while there is something to watch.
 */
final class LeaseWatch {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());

  /** How often to look whether a driver was loaded anew, while that matters. */
  private static final long LOOK_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** Locked clocks that nobody has to put back are saved soon, but not each time. */
  private static final long SAVE_CLOCKS_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final LeaseParts parts;
  private final NanoClock clock;
  private final SettingTable table;
  private final LeaseEnds ends;
  private final Restorer restorer;

  /** Touched by one thread. */
  private long clocksSavedNanos;

  // Guarded by this.

  /** Null while nobody watches. */
  private Thread thread;

  private boolean closed;

  LeaseWatch(LeaseParts parts, NanoClock clock, LeaseEnds ends, Restorer restorer) {
    this.parts = parts;
    this.clock = clock;
    this.ends = ends;
    this.restorer = restorer;
    table = parts.table();
    clocksSavedNanos = parts.now() - SAVE_CLOCKS_NANOS;
  }

  /** Does what is due, and says in how many ns there may be more to do. */
  long step() {
    long now = parts.now();
    ends.beginAll(
        table.locked(() -> table.activeLeases(lease -> lease.term().isExpired(now))), "expired");
    if (isWatchingGpus()) {
      parts.baseline().look();
      if (parts.clocks().forgetOutdated(parts.gpus())) {
        table.locked(() -> table.changed(List.of()));
      }
      restorer.start(claimDue(now));
    }
    if (parts.clocks().isUnsaved() && now - clocksSavedNanos >= SAVE_CLOCKS_NANOS) {
      clocksSavedNanos = now;
      table.locked(() -> table.changed(List.of()));
    }
    SavedSettings saved = parts.saved();
    if (saved.isDirty() || saved.isLogLong()) {
      saved.trySave();
    }
    return pauseNanos(now);
  }

  /** Whether what comes of GPUs matters, although nobody asks. */
  private boolean isWatchingGpus() {
    return hasBaseline()
        || !parts.clocks().isEmpty()
        || table.locked(() -> table.states.values().stream().anyMatch(SettingState::isPending));
  }

  private boolean hasBaseline() {
    return !parts.baseline().isEmpty();
  }

  private Map<Setting, CompletableFuture<Restored>> claimDue(long now) {
    GpusByUuid gpus = new GpusByUuid(parts.gpus());
    return table.locked(
        () ->
            restorer.claim(
                table.states.values().stream()
                    .filter(
                        state ->
                            state.isDue(
                                now,
                                gpus.find(state.setting.gpuUuid())
                                    .map(gpu -> gpu.device().driverGeneration())))
                    .map(state -> state.setting)
                    .toList()));
  }

  private long pauseNanos(long now) {
    // A disk that was full may have room again.
    boolean looks = isWatchingGpus() || parts.saved().isDirty();
    long longest = looks ? LOOK_NANOS : Long.MAX_VALUE;
    return table.locked(
        () ->
            table.leases.values().stream()
                .mapToLong(lease -> Math.max(0, lease.term().restNanos(now)))
                .reduce(longest, Math::min));
  }

  // ---- The thread ----

  /** Has it look what is due, if there is anything. */
  synchronized void wake() {
    if (closed) {
      return;
    }
    if (thread != null) {
      clock.unpark(thread);
    } else if (isNeeded()) {
      // It waits for times, and for the disk, which no device's thread may do.
      thread = Thread.ofPlatform().daemon().name("leases").unstarted(this::watch);
      clock.starting(thread);
      thread.start();
    }
  }

  private boolean isNeeded() {
    return !table.isEmpty()
        || hasBaseline()
        || parts.clocks().isUnsaved()
        || parts.saved().isDirty();
  }

  private void watch() {
    do {
      try {
        pause(step());
      } catch (RuntimeException e) {
        LOG.log(System.Logger.Level.ERROR, "unexpected failure of leases", e);
        pause(LOOK_NANOS);
      }
    } while (!endIfIdle());
  }

  private void pause(long nanos) {
    if (nanos == Long.MAX_VALUE) {
      clock.park();
    } else {
      clock.parkUntil(clock.nanoTime() + nanos);
    }
  }

  private synchronized boolean endIfIdle() {
    if (closed || !isNeeded()) {
      thread = null;
    }
    return thread == null;
  }

  /**
   * Ends the thread.
   *
   * @return false if that was done before
   */
  synchronized boolean close() {
    boolean isFirst = !closed;
    closed = true;
    if (thread != null) {
      clock.unpark(thread);
    }
    return isFirst;
  }
}
