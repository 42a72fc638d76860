package dev.zeusd.core;

import dev.zeusd.core.sampling.DeviceWorker;
import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The devices of one kind, with their threads and their sampler: found when the node opens, or
 * later.
 *
 * <p>A node may open before a driver is loaded, and a driver that is reloaded may come with more
 * devices. Where that is possible, to be asked for devices is a reason to look again; on another
 * thread, since a driver may hang.
 */
final class Devices<D, S extends PowerSample> {
  private static final Duration LOOK_INTERVAL = Duration.ofSeconds(5);
  private static final Duration LOOK_WAIT = Duration.ofSeconds(2);
  private static final System.Logger LOG = System.getLogger(Node.class.getName());

  private final String kind;
  private final Function<List<D>, List<DeviceWorker<D>>> starter;
  private final Function<List<DeviceWorker<D>>, PowerSampler<D, S>> samplers;

  /** Replaced as a whole. */
  private volatile Known<D, S> known;

  // Guarded by this.
  private List<String> problems = List.of();
  private long lookedNanos;
  private boolean closed;

  /** Looks now, or null. */
  private Thread looking;

  /**
   * What is there.
   *
   * @param backend to close after the devices
   * @param devices those of an earlier look, and then the new ones
   * @param mayBeMore whether it makes sense to look again now
   * @param again looks again
   * @param problems for people: in the log, and by {@link #problems}; why there are none, if so
   */
  record Found<D>(
      AutoCloseable backend,
      List<D> devices,
      BooleanSupplier mayBeMore,
      Supplier<Found<D>> again,
      List<String> problems) {
    /** Devices without a backend, for good. */
    static <D> Found<D> always(List<D> devices) {
      return always(() -> {}, devices, List.of());
    }

    /** These, and never more. */
    static <D> Found<D> always(AutoCloseable backend, List<D> devices, List<String> problems) {
      return new Found<>(backend, devices, () -> false, () -> null, problems);
    }

    /** None so far. */
    static <D> Found<D> none(Supplier<Found<D>> again, List<String> why) {
      return new Found<>(() -> {}, List.of(), () -> true, again, why);
    }
  }

  private record Known<D, S extends PowerSample>(
      Found<D> found, List<DeviceWorker<D>> workers, PowerSampler<D, S> power) {}

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
    this.starter = starter;
    this.samplers = samplers;
    Found<D> found = finder.get();
    logNew(found.problems);
    List<DeviceWorker<D>> workers = starter.apply(found.devices);
    known = new Known<>(found, workers, samplers.apply(workers));
    lookedNanos = System.nanoTime();
  }

  private synchronized void logNew(List<String> found) {
    if (!found.equals(problems)) {
      problems = List.copyOf(found);
      found.forEach(problem -> LOG.log(System.Logger.Level.WARNING, problem));
    }
  }

  /** What is wrong with them as a kind, as of the last look; empty if nothing is. */
  synchronized List<String> problems() {
    return problems;
  }

  /** By id. Where there may be more, this looks again, if the last time is long enough ago. */
  List<DeviceWorker<D>> workers() {
    if (known.found.mayBeMore.getAsBoolean()) {
      lookAgain();
    }
    return known.workers;
  }

  /** Looks again now, for who knows that it takes time; those who ask meanwhile wait a bit. */
  synchronized void startLooking() {
    if (!closed && looking == null) {
      lookedNanos = System.nanoTime();
      looking = Thread.ofPlatform().daemon().name("look for " + kind + "s").start(this::look);
    }
  }

  private void lookAgain() {
    Thread look;
    long sinceNanos;
    synchronized (this) {
      long now = System.nanoTime();
      if (closed || looking == null && now - lookedNanos < LOOK_INTERVAL.toNanos()) {
        return;
      }
      startLooking();
      look = looking;
      sinceNanos = System.nanoTime() - lookedNanos;
    }
    if (known.workers.isEmpty()) {
      // Without any, whoever asks cannot do anything else.
      try {
        look.join(LOOK_WAIT.minusNanos(Math.min(sinceNanos, LOOK_WAIT.toNanos())));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void look() {
    try {
      Found<D> found = known.found.again.get();
      logNew(found.problems);
      if (found.devices.size() > known.workers.size()) {
        add(found);
      }
    } catch (NodeException e) {
      logNew(List.of(e.getMessage()));
    } catch (RuntimeException e) {
      logNew(List.of("looking for " + kind + "s: " + e));
    } finally {
      synchronized (this) {
        looking = null;
      }
    }
  }

  private void add(Found<D> found) {
    Known<D, S> before = known;
    List<DeviceWorker<D>> added =
        starter.apply(found.devices.subList(before.workers.size(), found.devices.size()));
    List<DeviceWorker<D>> all = new ArrayList<>(before.workers);
    all.addAll(added);
    all.sort(Comparator.comparingInt(DeviceWorker::id));
    Known<D, S> after = new Known<>(found, List.copyOf(all), samplers.apply(all));
    synchronized (this) {
      if (!closed) {
        known = after;
        LOG.log(
            System.Logger.Level.INFO,
            "{0}s are there now: {1}",
            kind,
            all.stream().map(DeviceWorker::id).toList());
      }
    }
    if (known == after) {
      // Who subscribed to all that there were comes back for the new ones; and a device that two
      // samplers read would be read twice.
      before.power.close();
    } else {
      DeviceWorker.closeAll(added);
      closeBackend(found);
    }
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
    closeBackend(known.found);
  }

  private void closeBackend(Found<D> found) {
    try {
      found.backend.close();
    } catch (Exception e) {
      LOG.log(System.Logger.Level.WARNING, "closing the {0} backend: {1}", kind, e.getMessage());
    }
  }
}
