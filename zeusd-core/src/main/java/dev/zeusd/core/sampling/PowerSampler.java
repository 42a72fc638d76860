package dev.zeusd.core.sampling;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

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
  private static final long NANOS_PER_S = 1_000_000_000L;

  private final PowerKind<D, S> kind;
  private final List<DeviceWorker<D>> workers;
  private final long periodNanos;
  private final NanoClock clock;
  private final SampledDevices<D, S> devices;
  private final DifferenceReads<D, S> differences;
  private final ReentrantLock lock = new ReentrantLock();

  // Set with the lock held.
  private volatile Board<S> board;
  private volatile boolean closed;

  /** Changed with the lock held. */
  private final List<Subscription<S>> subscriptions = new CopyOnWriteArrayList<>();

  /** Of the same devices, by what they read; made when they are first asked for. */
  private final Map<PowerScope, PowerSampler<D, S>> ofScopes = new ConcurrentHashMap<>();

  private PowerSampler(
      PowerKind<D, S> kind, List<DeviceWorker<D>> workers, long periodNanos, NanoClock clock) {
    this.kind = kind;
    this.workers = workers;
    this.periodNanos = periodNanos;
    this.clock = clock;
    this.devices = new SampledDevices<>(kind, workers, periodNanos, clock, this::publish);
    this.differences = new DifferenceReads<>(kind.readers(), periodNanos, clock);
    this.board = Board.ofNothing(devices.count());
  }

  /**
   * {@return a sampler of GPUs that reads them {@code pollHz} times a second}
   *
   * @param workers the devices
   * @param pollHz how often each device is read, in Hz
   * @param clock also that of the workers
   */
  public static PowerSampler<Gpu, GpuPowerSample> ofGpus(
      List<DeviceWorker<Gpu>> workers, int pollHz, NanoClock clock) {
    return new PowerSampler<>(PowerKind.ofGpus(), workers, NANOS_PER_S / pollHz, clock);
  }

  /**
   * The same of CPU packages.
   *
   * @param workers the devices
   * @param pollHz how often each device is read, in Hz
   * @param clock by which the devices are read
   * @return a sampler of CPU packages that reads them {@code pollHz} times a second
   */
  public static PowerSampler<Cpu, CpuPowerSample> ofCpus(
      List<DeviceWorker<Cpu>> workers, int pollHz, NanoClock clock) {
    return new PowerSampler<>(PowerKind.ofCpus(), workers, NANOS_PER_S / pollHz, clock);
  }

  /**
   * Of the same devices at the same rate, what they tell of this scope and no other, as {@link
   * Gpu#powerMwOf} does; this one gives whatever they tell first. It reads by itself, while
   * somebody subscribes to it, and is closed with this one.
   *
   * @param scope the devices alone, or the modules that carry them
   * @return a sampler of the same devices in this scope
   * @throws UnsupportedOperationException of CPUs, and of one that has a scope
   */
  public PowerSampler<D, S> of(PowerScope scope) {
    PowerSampler<D, S> sampler =
        ofScopes.computeIfAbsent(
            scope,
            each -> new PowerSampler<>(kind.ofScope().apply(each), workers, periodNanos, clock));
    if (closed) {
      sampler.close();
    }
    return sampler;
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
   * @param ids of the devices
   * @param onNews called when there may be something to poll beside what was known when this
   *     returned, or the subscription was closed; by the threads that read, maybe by two at a time,
   *     which it must not hold up
   * @return the subscription, to be closed by the caller
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
   * @param ids of the devices
   * @param onRead called after each tick with the subscription, which tells what is known now; must
   *     not block
   * @param onClose called instead once the subscription is closed, by whomever
   * @return the subscription, to be closed by the caller
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
      subscriptions.add(subscription);
      devices.join(subscription.devices());
      return true;
    } finally {
      lock.unlock();
    }
  }

  private void unsubscribe(Subscription<S> subscription) {
    lock.lock();
    try {
      if (!subscriptions.remove(subscription)) {
        return;
      }
      for (int index : subscription.devices()) {
        if (devices.leave(index)) {
          board = board.without(index);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** {@return whether anybody is subscribed to a device, in whatever scope} */
  public boolean isSubscribed() {
    return devices.areWanted() || ofScopes.values().stream().anyMatch(PowerSampler::isSubscribed);
  }

  /** Closes all subscriptions: whoever polls returns at once. So do readings that take time. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
    } finally {
      lock.unlock();
    }
    ofScopes.values().forEach(PowerSampler::close);
    subscriptions.forEach(Subscription::close);
    devices.close();
    differences.close();
  }

  private void publish(Board.Entry<S>[] read) {
    Board<S> before;
    Board<S> after;
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
    } finally {
      lock.unlock();
    }
    if (after != before) {
      // Without the lock, so that nobody waits for those who are told.
      for (Subscription<S> receiver : subscriptions) {
        receiver.tell(before, after);
      }
    }
  }

  /**
   * {@return the newest sample of a device that is being read and answers, at most two periods old;
   * no hardware is asked}
   *
   * @param id the device's id
   * @throws IllegalArgumentException if there is no such device
   */
  public Optional<S> current(int id) {
    return board.currentSince(devices.indexOf(id), clock.nanoTime() - 2 * periodNanos);
  }

  /**
   * Reads a device once. Where power is a difference of two reads, the answer comes from the
   * running ticks if there are any, else from two reads one period apart.
   *
   * @param id the device's id
   * @return ends with the sample or with the {@link DeviceException} of the read
   * @throws IllegalArgumentException if there is no such device
   * @throws DeviceException.Unavailable as {@link DeviceWorker#submit}
   */
  public CompletableFuture<S> read(int id) {
    int index = devices.indexOf(id);
    if (!kind.isDifference()) {
      return devices.at(index).readOnce();
    }
    return board
        .current(index)
        .map(CompletableFuture::completedFuture)
        .orElseGet(() -> differences.read(devices.at(index)));
  }
}
