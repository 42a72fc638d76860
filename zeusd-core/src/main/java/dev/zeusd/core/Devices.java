package dev.zeusd.core;

import dev.zeusd.core.sampling.DeviceWorker;
import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The devices of one kind, with their threads and their sampler: found when the node opens or, if
 * there are none then, later.
 *
 * <p>A node may open before a driver is loaded. As long as there are no devices, to be asked for
 * them is a reason to look again; on another thread, since a driver may hang.
 */
final class Devices<D, S extends PowerSample> {
  static final Duration LOOK_INTERVAL = Duration.ofSeconds(5);

  private static final System.Logger LOG = System.getLogger(Node.class.getName());
  private static final Duration LOOK_WAIT = Duration.ofSeconds(2);

  private final String kind;
  private final Supplier<Found<D>> finder;
  private final Function<List<D>, List<DeviceWorker<D>>> starter;
  private final Function<List<DeviceWorker<D>>, PowerSampler<D, S>> samplers;

  /** Replaced as a whole, once at most: by something in place of nothing. */
  private volatile Known<D, S> known;

  // Guarded by this.
  private List<String> problems = List.of();
  private long lookedNanos = System.nanoTime();
  private boolean looking;
  private boolean closed;

  /**
   * What is there.
   *
   * @param backend to close after the devices
   * @param mayBeMore whether it makes sense to look again
   * @param problems for the log
   */
  record Found<D>(
      AutoCloseable backend, List<D> devices, boolean mayBeMore, List<String> problems) {
    /** Devices without a backend, for good. */
    static <D> Found<D> always(List<D> devices) {
      return new Found<>(() -> {}, devices, false, List.of());
    }
  }

  private record Known<D, S extends PowerSample>(
      AutoCloseable backend,
      boolean mayBeMore,
      List<DeviceWorker<D>> workers,
      PowerSampler<D, S> power) {}

  /**
   * Finds them.
   *
   * @param finder throws a {@link NodeException} where a node without these devices is not wanted
   */
  Devices(
      String kind,
      Supplier<Found<D>> finder,
      Function<List<D>, List<DeviceWorker<D>>> starter,
      Function<List<DeviceWorker<D>>, PowerSampler<D, S>> samplers) {
    this.kind = kind;
    this.finder = finder;
    this.starter = starter;
    this.samplers = samplers;
    this.known = find();
  }

  private Known<D, S> find() {
    Found<D> found = finder.get();
    logNew(found.problems);
    List<DeviceWorker<D>> workers = starter.apply(found.devices);
    return new Known<>(found.backend, found.mayBeMore, workers, samplers.apply(workers));
  }

  private synchronized void logNew(List<String> found) {
    if (!found.equals(problems)) {
      problems = found;
      found.forEach(problem -> LOG.log(System.Logger.Level.WARNING, problem));
    }
  }

  /** By id. Without any, this looks again, if the last time is long enough ago. */
  List<DeviceWorker<D>> workers() {
    List<DeviceWorker<D>> workers = known.workers;
    if (workers.isEmpty() && known.mayBeMore) {
      lookAgain();
      workers = known.workers;
    }
    return workers;
  }

  private void lookAgain() {
    Thread look;
    synchronized (this) {
      long now = System.nanoTime();
      if (closed || looking || now - lookedNanos < LOOK_INTERVAL.toNanos()) {
        return;
      }
      lookedNanos = now;
      looking = true;
      look = Thread.ofPlatform().daemon().name("look for " + kind + "s").start(this::replace);
    }
    try {
      look.join(LOOK_WAIT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void replace() {
    Known<D, S> found = known;
    try {
      found = find();
    } catch (NodeException e) {
      logNew(List.of(e.getMessage()));
    } finally {
      use(found);
    }
  }

  private synchronized void use(Known<D, S> found) {
    looking = false;
    if (found == known) {
      return;
    }
    if (closed || found.workers.isEmpty()) {
      found.power.close();
      DeviceWorker.closeAll(found.workers);
      closeBackend(found);
      return;
    }
    Known<D, S> nothing = known;
    known = found;
    LOG.log(
        System.Logger.Level.INFO,
        "{0}s are there now: {1}",
        kind,
        found.workers.stream().map(DeviceWorker::id).toList());
    // Who subscribed to all that there were waits for nothing.
    nothing.power.close();
    closeBackend(nothing);
  }

  PowerSampler<D, S> power() {
    return known.power;
  }

  /** Closes the subscriptions; the threads, which are returned, are next. */
  List<DeviceWorker<D>> endSampling() {
    synchronized (this) {
      closed = true;
    }
    known.power.close();
    return known.workers;
  }

  void closeBackend() {
    closeBackend(known);
  }

  private void closeBackend(Known<D, S> known) {
    try {
      known.backend.close();
    } catch (Exception e) {
      LOG.log(System.Logger.Level.WARNING, "closing the {0} backend: {1}", kind, e.getMessage());
    }
  }
}
