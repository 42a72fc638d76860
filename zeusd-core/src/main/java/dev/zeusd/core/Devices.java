package dev.zeusd.core;

import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

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

  /** A driver takes up to 20 s for many GPUs that nobody uses. */
  private static final Duration OPEN_WAIT = Duration.ofSeconds(30);

  private static final System.Logger LOG = System.getLogger(Node.class.getName());

  private final String kind;
  private final List<Backend<D>> backends;
  private final Function<List<D>, List<DeviceWorker<D>>> starter;
  private final Function<List<DeviceWorker<D>>, PowerSampler<D, S>> samplers;
  private final NanoClock clock;

  /** Replaced as a whole. */
  private volatile Known<D, S> known;

  // Guarded by this.
  private List<String> logged = List.of();
  private Optional<String> failure = Optional.empty();
  private long lookedNanos;
  private boolean closed;

  /** Looks now, or null. */
  private Thread looking;

  /** The backends' devices, and what was made of them. */
  private record Known<D, S extends PowerSample>(List<D> devices, DeviceSet<D, S> set) {}

  /**
   * Starts the threads of the devices that there are.
   *
   * @param backends closed by {@link #closeBackends}
   * @throws NodeException if two devices have the same id
   */
  Devices(
      String kind,
      List<Backend<D>> backends,
      Function<List<D>, List<DeviceWorker<D>>> starter,
      Function<List<DeviceWorker<D>>, PowerSampler<D, S>> samplers,
      NanoClock clock) {
    this.kind = kind;
    this.backends = List.copyOf(backends);
    this.starter = starter;
    this.samplers = samplers;
    this.clock = clock;
    boolean isOpening = backends.stream().anyMatch(Backend::isOpening);
    if (!isOpening) {
      logNew(problems());
    }
    List<D> devices = newOnes(List.of());
    known = known(devices, List.of(), starter.apply(devices));
    lookedNanos = clock.nanoTime();
    if (isOpening) {
      startLooking();
    }
  }

  private Known<D, S> known(
      List<D> devices, List<DeviceWorker<D>> before, List<DeviceWorker<D>> added) {
    List<DeviceWorker<D>> byId = new ArrayList<>(before);
    byId.addAll(added);
    byId.sort(Comparator.comparingInt(DeviceWorker::id));
    for (int i = 1; i < byId.size(); i++) {
      int id = byId.get(i).id();
      if (byId.get(i - 1).id() == id) {
        DeviceWorker.closeAll(added);
        throw new NodeException(
            "two %ss have the id %d: backends have to agree on ids".formatted(kind, id));
      }
    }
    return new Known<>(List.copyOf(devices), new DeviceSet<>(byId, samplers.apply(byId)));
  }

  private List<D> newOnes(List<D> known) {
    List<D> found = new ArrayList<>();
    for (Backend<D> backend : backends) {
      for (D device : backend.devices()) {
        if (known.stream().noneMatch(other -> other == device)) {
          found.add(device);
        }
      }
    }
    return found;
  }

  private synchronized void logNew(List<String> found) {
    if (!found.equals(logged)) {
      logged = List.copyOf(found);
      found.forEach(problem -> LOG.log(System.Logger.Level.WARNING, problem));
    }
  }

  /** What is wrong with them as a kind, as of the last look; empty if nothing is. */
  synchronized List<String> problems() {
    List<String> all = new ArrayList<>();
    backends.forEach(backend -> all.addAll(backend.problems()));
    failure.ifPresent(all::add);
    if (all.isEmpty() && looking != null && known.devices.isEmpty()) {
      all.add("no %ss yet: those that were found are asked what they are".formatted(kind));
    }
    return all;
  }

  /** Those of now. Where there may be more, this looks again, if the last time is long ago. */
  DeviceSet<D, S> now() {
    if (mayHaveMore()) {
      lookAgain();
    } else if (known.devices.isEmpty()) {
      awaitThoseFound();
    }
    return known.set;
  }

  /** A look that has found some is not over before these have had the time to say what they are. */
  private void awaitThoseFound() {
    Thread look;
    synchronized (this) {
      look = looking;
    }
    if (look != null) {
      await(look, LOOK_WAIT);
    }
  }

  private boolean mayHaveMore() {
    for (Backend<D> backend : backends) {
      if (backend.mayHaveMore()) {
        return true;
      }
    }
    return false;
  }

  /** Looks again now, for who knows that it takes time; those who ask meanwhile wait a bit. */
  synchronized void startLooking() {
    if (!closed && looking == null) {
      lookedNanos = clock.nanoTime();
      looking = Thread.ofPlatform().daemon().name("look for " + kind + "s").start(this::look);
    }
  }

  private void lookAgain() {
    Thread look;
    long sinceNanos;
    synchronized (this) {
      long now = clock.nanoTime();
      if (closed || looking == null && now - lookedNanos < LOOK_INTERVAL.toNanos()) {
        return;
      }
      startLooking();
      look = looking;
      sinceNanos = clock.nanoTime() - lookedNanos;
    }
    if (known.devices.isEmpty()) {
      // Without any, whoever asks cannot do anything else.
      await(look, LOOK_WAIT.minusNanos(Math.min(sinceNanos, LOOK_WAIT.toNanos())));
    }
  }

  private static void await(Thread look, Duration atMost) {
    try {
      look.join(atMost);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Those of now; where there are none, and a driver is just being opened, once that is done. */
  DeviceSet<D, S> onceOpened() {
    Thread look;
    synchronized (this) {
      look = looking;
    }
    if (look != null && known.devices.isEmpty()) {
      await(look, OPEN_WAIT);
    }
    return now();
  }

  private void look() {
    Optional<String> failed = Optional.empty();
    try {
      for (Backend<D> backend : backends) {
        if (backend.mayHaveMore()) {
          backend.lookForMore();
        }
      }
      List<D> found = newOnes(known.devices);
      if (!found.isEmpty()) {
        add(found);
      }
    } catch (NodeException e) {
      failed = Optional.of(e.getMessage());
    } catch (RuntimeException e) {
      failed = Optional.of("looking for " + kind + "s: " + e);
    } finally {
      synchronized (this) {
        failure = failed;
        looking = null;
      }
      logNew(problems());
    }
  }

  private void add(List<D> found) {
    Known<D, S> before = known;
    List<DeviceWorker<D>> added = starter.apply(found);
    List<D> devices = new ArrayList<>(before.devices);
    devices.addAll(found);
    Known<D, S> after = known(devices, before.set.devices(), added);
    synchronized (this) {
      if (!closed) {
        known = after;
        LOG.log(
            System.Logger.Level.INFO,
            "{0}s are there now: {1}",
            kind,
            after.set.devices().stream().map(DeviceWorker::id).toList());
      }
    }
    if (known == after) {
      // Who subscribed to all that there were comes back for the new ones; and a device that two
      // samplers read would be read twice.
      before.set.power().close();
    } else {
      DeviceWorker.closeAll(added);
    }
  }

  /** The power readings, without looking again. */
  PowerSampler<D, S> power() {
    return known.set.power();
  }

  /** Closes the subscriptions; the threads, which are returned, are next. */
  List<DeviceWorker<D>> endSampling() {
    synchronized (this) {
      closed = true;
    }
    known.set.power().close();
    return known.set.devices();
  }

  /** As {@link Backend#release}, of all. */
  boolean release() {
    boolean done = true;
    for (Backend<D> backend : backends) {
      done &= backend.release();
    }
    return done;
  }

  void closeBackends() {
    for (Backend<D> backend : backends) {
      try {
        backend.close();
      } catch (RuntimeException e) {
        LOG.log(
            System.Logger.Level.WARNING, "closing a backend of {0}s: {1}", kind, e.getMessage());
      }
    }
  }
}
