package dev.zeusd.core.sampling;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Reads the power of all devices of one kind, at a fixed rate, while somebody wants it.
 *
 * <p>The first subscription to a device starts its ticks, the last close stops them; all
 * subscriptions share one reading per tick. Devices tick together, on an absolute schedule: a late
 * tick moves no later one, and ticks missed in a stall are left out. What the devices read in one
 * tick is published together, so that a subscriber wakes once; a device that takes long is not
 * waited for, and is published by itself when it answers.
 *
 * <p>Thread-safe. Devices are read on their own threads only.
 *
 * @param <D> the kind of device
 * @param <S> its samples
 */
public final class PowerSampler<D, S extends PowerSample> implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(PowerSampler.class.getName());
  private static final long MAX_GRACE_NANOS = 10_000_000;

  /** Most reads for a single reading that is a difference of two. */
  private static final int READS_FOR_A_DIFFERENCE = 5;

  private final long periodNanos;

  /** How long a tick waits for a device before it is published without it. */
  private final long graceNanos;

  private final Supplier<PowerReader<D, S>> readers;

  /** Whether power is a difference of two reads. */
  private final boolean differences;

  private final List<Channel> channels = new ArrayList<>();
  private final ReentrantLock lock = new ReentrantLock();

  /** Single readings that wait for their second read. */
  private final Set<CompletableFuture<S>> differencesUnderWay = ConcurrentHashMap.newKeySet();

  /** Set with the lock held. */
  private volatile boolean closed;

  // From here on: guarded by the lock.
  private List<Subscription<S>> subscriptions = List.of();
  private int activeChannels;
  private long epochNanos;
  private long newestTick;
  private long graceTick;
  private Batch<S> batch;
  private boolean publishing;

  private PowerSampler(
      String kind,
      List<DeviceWorker<D>> workers,
      int pollHz,
      Supplier<PowerReader<D, S>> readers,
      boolean differences) {
    this.periodNanos = 1_000_000_000L / pollHz;
    this.graceNanos = Math.min(periodNanos / 4, MAX_GRACE_NANOS);
    this.readers = readers;
    this.differences = differences;
    for (DeviceWorker<D> worker : workers) {
      channels.add(new Channel(channels.size(), kind + " " + worker.id(), worker));
    }
    this.batch = new Batch<>(channels.size());
  }

  /** A sampler of GPUs that reads them {@code pollHz} times a second. */
  public static PowerSampler<Gpu, GpuPowerSample> ofGpus(
      List<DeviceWorker<Gpu>> workers, int pollHz) {
    return new PowerSampler<>(
        "GPU",
        workers,
        pollHz,
        () ->
            (gpu, timestampMs) -> {
              long powerMw = gpu.powerMw();
              return new GpuPowerSample(timestampMs.getAsLong(), gpu.info().id(), powerMw);
            },
        false);
  }

  /** A sampler of CPU packages that reads them {@code pollHz} times a second. */
  public static PowerSampler<Cpu, CpuPowerSample> ofCpus(
      List<DeviceWorker<Cpu>> workers, int pollHz) {
    Set<Integer> dramFailing = ConcurrentHashMap.newKeySet();
    return new PowerSampler<>("CPU", workers, pollHz, () -> new CpuPowerReader(dramFailing), true);
  }

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
   * As {@link #subscribe(Collection)}, for a thread that serves several subscriptions.
   *
   * @param onNews called when there is something to poll, or the subscription was closed; on a
   *     device's thread, which it must not hold up
   */
  public Subscription<S> subscribe(Collection<Integer> ids, Runnable onNews) {
    int[] devices = ids.stream().distinct().mapToInt(this::indexOf).sorted().toArray();
    Subscription<S> subscription = new Subscription<>(this, devices, onNews);
    Batch<S> known = new Batch<>(channels.size());
    lock.lock();
    try {
      if (closed) {
        Subscription<S> ended = new Subscription<>(this, new int[0], onNews);
        ended.close();
        return ended;
      }
      List<Subscription<S>> all = new ArrayList<>(subscriptions);
      all.add(subscription);
      subscriptions = all;
      for (int device : devices) {
        channels.get(device).join(known);
      }
      // Under the lock, so that no newer value can come before it.
      subscription.offer(known);
    } finally {
      lock.unlock();
    }
    return subscription;
  }

  List<S> refresh(Subscription<S> subscription) {
    Batch<S> known = new Batch<>(channels.size());
    lock.lock();
    try {
      for (int device : subscription.devices()) {
        channels.get(device).tellNewcomer(known);
      }
      // Under the lock, so that what is read next is not taken for known.
      return subscription.forgetAllBut(known);
    } finally {
      lock.unlock();
    }
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
    return channels.get(indexOf(id)).readOnce();
  }

  /** Closes all subscriptions: whoever polls returns at once. So do readings that take time. */
  @Override
  public void close() {
    List<Subscription<S>> open;
    lock.lock();
    try {
      closed = true;
      open = subscriptions;
    } finally {
      lock.unlock();
    }
    open.forEach(Subscription::close);
    for (CompletableFuture<S> result : differencesUnderWay) {
      result.completeExceptionally(
          new DeviceException.Unavailable("closed before the second read"));
    }
  }

  private void endDifferences() {
    for (CompletableFuture<S> result : differencesUnderWay) {
      result.completeExceptionally(
          new DeviceException.Unavailable("closed before the second read"));
    }
  }

  private int indexOf(int id) {
    for (int i = 0; i < channels.size(); i++) {
      if (channels.get(i).worker.id() == id) {
        return i;
      }
    }
    throw new IllegalArgumentException("no such device: " + id);
  }

  Optional<S> current(int device) {
    return Optional.ofNullable(channels.get(device).latest);
  }

  void unsubscribe(Subscription<S> subscription) {
    lock.lock();
    try {
      List<Subscription<S>> rest = new ArrayList<>(subscriptions);
      rest.remove(subscription);
      subscriptions = rest;
      for (int device : subscription.devices()) {
        channels.get(device).leave();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Publishes what is pending once every device that answers in time has answered. */
  private void publishWhenComplete() {
    lock.lock();
    try {
      while (!publishing && !batch.isEmpty() && isTickComplete()) {
        Batch<S> ready = batch;
        List<Subscription<S>> receivers = subscriptions;
        batch = new Batch<>(channels.size());
        for (Channel channel : channels) {
          channel.firstsWanted = ready.sample(channel.index) == null ? channel.firstsWanted : 0;
        }
        // One thread at a time delivers, so that values arrive in order; it does so without the
        // lock, so that no other device waits for it.
        publishing = true;
        lock.unlock();
        try {
          for (Subscription<S> receiver : receivers) {
            receiver.offer(ready);
          }
        } finally {
          lock.lock();
          publishing = false;
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean isTickComplete() {
    for (Channel channel : channels) {
      if (channel.subscribers > 0 && !channel.slow && channel.tick < newestTick) {
        return false;
      }
    }
    return true;
  }

  private long tickAt(long nanos) {
    return Math.floorDiv(nanos - epochNanos, periodNanos);
  }

  /** One device: its ticks, and what is known of it. */
  private final class Channel implements DeviceWorker.Timed {
    private final int index;
    private final String name;
    private final DeviceWorker<D> worker;
    private final Function<D, S> single = device -> readers.get().read(device, this::timestampMs);

    /** The newest sample while there are subscribers and the device answers, else null. */
    private volatile S latest;

    // Guarded by the sampler's lock.
    private int subscribers;
    private boolean starting;
    private long latestNanos;
    private S lastPublished;
    private int firstsWanted;
    private long tick;
    private boolean slow;

    // Touched by whoever calls the device only.
    private PowerReader<D, S> reader;
    private boolean scheduled;
    private boolean failing;
    private long lastReadNanos;

    /**
     * The first tick comes at once, off the schedule; one that is due right after it is left out.
     */
    private long notBeforeNanos;

    Channel(int index, String name, DeviceWorker<D> worker) {
      this.index = index;
      this.name = name;
      this.worker = worker;
    }

    /** One subscriber more; with the lock held. */
    void join(Batch<S> known) {
      subscribers++;
      if (subscribers == 1) {
        start();
      } else {
        tellNewcomer(known);
      }
    }

    /** Adds the newest value if it is fresh, else sees to it that the next one is told. */
    void tellNewcomer(Batch<S> known) {
      if (latest != null && System.nanoTime() - latestNanos <= periodNanos) {
        known.put(index, latest, true);
      } else {
        firstsWanted++;
      }
    }

    private void start() {
      if (activeChannels++ == 0) {
        epochNanos = System.nanoTime();
        newestTick = 0;
        graceTick = -1;
      }
      lastPublished = null;
      firstsWanted = 0;
      slow = false;
      tick = -1;
      if (!starting) {
        // Never two: a device that hangs shall not pile them up while clients come and go.
        starting = true;
        worker.execute(device -> firstTick());
      }
    }

    /** One subscriber less; with the lock held. */
    void leave() {
      subscribers--;
      if (subscribers == 0) {
        latest = null;
        if (--activeChannels == 0) {
          batch = new Batch<>(channels.size());
        }
      }
    }

    private void firstTick() {
      long now = System.nanoTime();
      lock.lock();
      try {
        starting = false;
        if (subscribers == 0) {
          return;
        }
      } finally {
        lock.unlock();
      }
      reader = readers.get();
      failing = false;
      notBeforeNanos = now + periodNanos / 2;
      tick(now);
      if (!scheduled) {
        scheduled = true;
        worker.schedule(dueAfter(now), this);
      }
    }

    @Override
    public long run(long dueNanos) {
      long now = System.nanoTime();
      lock.lock();
      try {
        if (subscribers == 0) {
          scheduled = false;
          return NEVER;
        }
      } finally {
        lock.unlock();
      }
      if (dueNanos - notBeforeNanos >= 0) {
        tick(now);
      }
      return dueAfter(now);
    }

    /** The tick after that of {@code nanos}, or the newest one due by now: late, not lost. */
    private long dueAfter(long nanos) {
      lock.lock();
      try {
        return epochNanos + Math.max(tickAt(nanos) + 1, tickAt(System.nanoTime())) * periodNanos;
      } finally {
        lock.unlock();
      }
    }

    private void tick(long startNanos) {
      S sample = readLoggingFailures();
      lastReadNanos = System.nanoTime();
      boolean first = false;
      lock.lock();
      try {
        if (subscribers == 0) {
          return;
        }
        // Not before the read: the schedule may have begun anew while that took its time.
        tick = tickAt(startNanos);
        slow = lastReadNanos - startNanos > graceNanos;
        newestTick = Math.max(newestTick, tick);
        keep(sample);
        if (graceTick < newestTick && !isTickComplete()) {
          graceTick = newestTick;
          first = true;
        }
      } finally {
        lock.unlock();
      }
      publishWhenComplete();
      if (first) {
        worker.schedule(startNanos + graceNanos, this::endOfGrace);
      }
    }

    private void keep(S sample) {
      if (sample == null) {
        latest = failing ? null : latest;
        return;
      }
      latest = sample;
      latestNanos = lastReadNanos;
      boolean changed = lastPublished == null || !sample.samePower(lastPublished);
      if (changed) {
        lastPublished = sample;
      }
      // One that waits to be published is replaced: a newcomer may have this newer one already.
      if (changed || firstsWanted > 0 || batch.sample(index) != null) {
        batch.put(index, sample, changed);
      }
    }

    /**
     * The devices that have not answered by now are not waited for until they are in time again.
     */
    private long endOfGrace(long dueNanos) {
      lock.lock();
      try {
        for (Channel channel : channels) {
          channel.slow |= channel.subscribers > 0 && channel.tick < newestTick;
        }
      } finally {
        lock.unlock();
      }
      publishWhenComplete();
      return NEVER;
    }

    private S readLoggingFailures() {
      try {
        S sample = worker.timed(() -> reader.read(worker.device(), this::timestampMs));
        if (failing) {
          failing = false;
          LOG.log(System.Logger.Level.INFO, "{0}: power can be read again", name);
        }
        return sample;
      } catch (Throwable e) {
        // Whatever it is: the next tick tries again.
        if (!failing) {
          failing = true;
          LOG.log(
              System.Logger.Level.WARNING,
              "{0}: reading power fails, trying on: {1}",
              name,
              e instanceof DeviceException ? e.getMessage() : e);
        }
        return null;
      }
    }

    private long timestampMs() {
      return TimestampClock.SYSTEM.nowMs();
    }

    CompletableFuture<S> readOnce() {
      if (!differences) {
        return worker.runOrShare(single);
      }
      S running = latest;
      if (running != null) {
        return CompletableFuture.completedFuture(running);
      }
      CompletableFuture<S> result = worker.newAnswer();
      PowerReader<D, S> own = readers.get();
      CompletableFuture<Void> firstRead =
          worker.submit(
              device -> {
                S sample = own.read(device, this::timestampMs);
                if (sample != null) {
                  result.complete(sample);
                } else {
                  readAgain(own, result, READS_FOR_A_DIFFERENCE - 1);
                }
                return null;
              });
      differencesUnderWay.add(result);
      result.whenComplete((sample, failure) -> differencesUnderWay.remove(result));
      firstRead.whenComplete((nothing, failure) -> failTo(result, failure));
      if (closed) {
        endDifferences();
      }
      return result;
    }

    private void readAgain(PowerReader<D, S> own, CompletableFuture<S> result, int reads) {
      worker.schedule(
          System.nanoTime() + periodNanos,
          due -> {
            try {
              S sample = worker.timed(() -> own.read(worker.device(), this::timestampMs));
              if (sample != null) {
                result.complete(sample);
              } else if (reads > 1) {
                // No difference could be had, such as after a reset of the counter.
                readAgain(own, result, reads - 1);
              } else {
                throw new DeviceException.Failed("the energy counter goes back all the time", null);
              }
            } catch (Throwable e) {
              result.completeExceptionally(e);
            }
            return NEVER;
          });
    }

    private static void failTo(CompletableFuture<?> result, Throwable failure) {
      if (failure != null) {
        result.completeExceptionally(failure);
      }
    }
  }
}
