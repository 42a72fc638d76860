package dev.zeusd.core.sampling;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Reads the power of all devices of one kind, at a fixed rate, while somebody wants it.
 *
 * <p>The first subscription to a device starts its ticks, the last close stops them; all
 * subscriptions share one reading per tick, which is published on one {@link Board}.
 *
 * <p>Thread-safe.
 *
 * @param <D> the kind of device
 * @param <S> its samples
 */
public final class PowerSampler<D, S extends PowerSample> implements AutoCloseable {
  private final long periodNanos;
  private final NanoClock clock;

  /** There where power is a difference of two reads. */
  private final Optional<DifferenceReads<D, S>> differences;

  private final SampledDevices<D, S> devices;
  private final Ticker ticker;
  private final ReentrantLock lock = new ReentrantLock();

  // Set with the lock held.
  private volatile Board<S> board;
  private volatile boolean closed;
  private volatile int wantedDevices;

  // Guarded by the lock.
  private List<Subscription<S>> subscriptions = List.of();

  /** Of the same devices, by what they read; made when they are first asked for. */
  private final Map<PowerScope, PowerSampler<D, S>> ofScopes = new EnumMap<>(PowerScope.class);

  private final Function<PowerScope, PowerSampler<D, S>> makeOfScope;

  private PowerSampler(
      String kind,
      List<DeviceWorker<D>> workers,
      int pollHz,
      NanoClock clock,
      Supplier<PowerReader<D, S>> readers,
      boolean differences,
      Function<PowerScope, PowerSampler<D, S>> makeOfScope) {
    this.makeOfScope = makeOfScope;
    this.periodNanos = 1_000_000_000L / pollHz;
    this.clock = clock;
    this.differences =
        differences
            ? Optional.of(new DifferenceReads<>(readers, periodNanos, clock))
            : Optional.empty();
    this.devices = new SampledDevices<>(kind, workers, readers, periodNanos, clock, this::publish);
    this.board = Board.ofNothing(devices.count());
    this.ticker = new Ticker(kind + " power", periodNanos, clock, devices);
  }

  /** A sampler of GPUs that reads them {@code pollHz} times a second. */
  public static PowerSampler<Gpu, GpuPowerSample> ofGpus(
      List<DeviceWorker<Gpu>> workers, int pollHz) {
    return ofGpus(workers, pollHz, NanoClock.SYSTEM);
  }

  /** The same by another clock, which is also that of the workers. */
  public static PowerSampler<Gpu, GpuPowerSample> ofGpus(
      List<DeviceWorker<Gpu>> workers, int pollHz, NanoClock clock) {
    return new PowerSampler<>(
        "GPU",
        workers,
        pollHz,
        clock,
        () -> GpuPowerSample::read,
        false,
        scope ->
            new PowerSampler<>(
                "GPU",
                workers,
                pollHz,
                clock,
                () -> GpuPowerSample.readerOf(scope),
                false,
                PowerSampler::withoutScopes));
  }

  private static <T> T withoutScopes(PowerScope scope) {
    throw new UnsupportedOperationException("power of CPUs, or of a scope, has none");
  }

  /** A sampler of CPU packages that reads them {@code pollHz} times a second. */
  public static PowerSampler<Cpu, CpuPowerSample> ofCpus(
      List<DeviceWorker<Cpu>> workers, int pollHz) {
    return ofCpus(workers, pollHz, NanoClock.SYSTEM);
  }

  /** The same by another clock, which is also that of the workers. */
  public static PowerSampler<Cpu, CpuPowerSample> ofCpus(
      List<DeviceWorker<Cpu>> workers, int pollHz, NanoClock clock) {
    Set<Integer> dramFailing = ConcurrentHashMap.newKeySet();
    return new PowerSampler<>(
        "CPU",
        workers,
        pollHz,
        clock,
        () -> new CpuPowerReader(dramFailing),
        true,
        PowerSampler::withoutScopes);
  }

  /**
   * Of the same devices at the same rate, what they tell of this scope and no other, as {@link
   * Gpu#powerMwOf} does; this one gives whatever they tell first. It reads by itself, while
   * somebody subscribes to it, and is closed with this one.
   *
   * @throws UnsupportedOperationException of CPUs, and of one that has a scope
   */
  public PowerSampler<D, S> of(PowerScope scope) {
    lock.lock();
    try {
      PowerSampler<D, S> sampler = ofScopes.computeIfAbsent(scope, makeOfScope);
      if (closed) {
        sampler.close();
      }
      return sampler;
    } finally {
      lock.unlock();
    }
  }

  // ---- Who wants what ----

  /**
   * Subscribes to devices. A device that is being read gives its current value at once, another one
   * as soon as it has been read.
   *
   * @param ids ids of devices; repeated ones count once
   * @return closed already if this is
   * @throws IllegalArgumentException if there is no such device
   */
  public Subscription<S> subscribe(Collection<Integer> ids) {
    return subscribe(ids, () -> {});
  }

  /**
   * As {@link #subscribe(Collection)}, for who serves several subscriptions.
   *
   * @param onNews called when there may be something to poll beside what was known when this
   *     returned, or the subscription was closed; by the threads that read, maybe by two at a time,
   *     which it must not hold up
   */
  public Subscription<S> subscribe(Collection<Integer> ids, Runnable onNews) {
    int[] indices = ids.stream().distinct().mapToInt(devices::indexOf).sorted().toArray();
    Subscription<S> subscription =
        new Subscription<>(() -> board, periodNanos, clock, indices, onNews, this::unsubscribe);
    if (!add(subscription)) {
      subscription.close();
    }
    return subscription;
  }

  /**
   * Subscribes somebody who is told of every reading, changed or not, by the thread that reads.
   *
   * @param onRead called after each tick with the subscription, which tells what is known now; must
   *     not block
   * @param onClose called instead once the subscription is closed, by whomever
   */
  public Subscription<S> follow(
      Collection<Integer> ids, Consumer<Subscription<S>> onRead, Runnable onClose) {
    Follower<S> follower = new Follower<>(onRead, onClose);
    return follower.follow(subscribe(ids, follower));
  }

  private boolean add(Subscription<S> subscription) {
    lock.lock();
    try {
      if (closed) {
        return false;
      }
      List<Subscription<S>> all = new ArrayList<>(subscriptions);
      all.add(subscription);
      subscriptions = all;
      for (int index : subscription.devices()) {
        join(index);
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  private void join(int index) {
    if (devices.at(index).join()) {
      wantedDevices = wantedDevices + 1;
      if (wantedDevices == 1) {
        ticker.start();
      } else {
        ticker.passNow();
      }
    }
  }

  private void unsubscribe(Subscription<S> subscription) {
    lock.lock();
    try {
      List<Subscription<S>> rest = new ArrayList<>(subscriptions);
      if (!rest.remove(subscription)) {
        return;
      }
      subscriptions = rest;
      for (int index : subscription.devices()) {
        if (devices.at(index).leave()) {
          board = board.without(index);
          wantedDevices = wantedDevices - 1;
          if (wantedDevices == 0) {
            ticker.stop();
          }
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether anybody is subscribed to a device, in whatever scope. */
  public boolean isSubscribed() {
    lock.lock();
    try {
      return wantedDevices > 0 || ofScopes.values().stream().anyMatch(PowerSampler::isSubscribed);
    } finally {
      lock.unlock();
    }
  }

  /** Closes all subscriptions: whoever polls returns at once. So do readings that take time. */
  @Override
  public void close() {
    List<Subscription<S>> open;
    List<PowerSampler<D, S>> scoped;
    lock.lock();
    try {
      closed = true;
      open = subscriptions;
      scoped = List.copyOf(ofScopes.values());
    } finally {
      lock.unlock();
    }
    scoped.forEach(PowerSampler::close);
    open.forEach(Subscription::close);
    ticker.close();
    differences.ifPresent(DifferenceReads::close);
  }

  private void publish(Board.Entry<S>[] read) {
    Board<S> before;
    Board<S> after;
    List<Subscription<S>> receivers;
    lock.lock();
    try {
      for (int index = 0; index < read.length; index++) {
        if (!devices.at(index).isWanted()) {
          read[index] = null;
        }
      }
      before = board;
      after = before.with(read);
      board = after;
      receivers = subscriptions;
    } finally {
      lock.unlock();
    }
    if (after != before) {
      // Without the lock, so that nobody waits for those who are told.
      for (Subscription<S> receiver : receivers) {
        receiver.tell(before, after);
      }
    }
  }

  /**
   * The newest sample of a device that is being read and answers, at most two periods old; no
   * hardware is asked.
   *
   * @throws IllegalArgumentException if there is no such device
   */
  public Optional<S> current(int id) {
    return board.currentSince(devices.indexOf(id), clock.nanoTime() - 2 * periodNanos);
  }

  /**
   * Reads a device once. Where power is a difference of two reads, the answer comes from the
   * running ticks if there are any, else from two reads one period apart.
   *
   * @return ends with the sample or with the {@link DeviceException} of the read
   * @throws IllegalArgumentException if there is no such device
   * @throws DeviceException.Unavailable as {@link DeviceWorker#submit}
   */
  public CompletableFuture<S> read(int id) {
    int index = devices.indexOf(id);
    if (differences.isEmpty()) {
      return devices.at(index).readOnce();
    }
    return board
        .current(index)
        .map(CompletableFuture::completedFuture)
        .orElseGet(() -> differences.get().read(devices.at(index)));
  }
}
