package dev.zeusd.core.sampling;

import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * One device of a {@link PowerSampler}: who wants it, and how it is read.
 *
 * @param <D> the device
 * @param <S> its samples
 */
final class Sampled<D, S extends PowerSample> {
  private static final System.Logger LOG = System.getLogger(PowerSampler.class.getName());

  private final DeviceWorker<D> worker;
  private final Supplier<PowerReader<D, S>> readers;
  private final long periodNanos;
  private final NanoClock clock;
  private final LongSupplier timestampMs;

  /** The same object for all who ask at a time, so that they can share a read. */
  private final Function<D, S> single;

  /** Whether a read waits for its turn on the device's own thread. */
  private final AtomicBoolean waits = new AtomicBoolean();

  /** Set with the sampler's lock held. */
  private volatile int subscribers;

  /** Wanted anew, and not read since. */
  private volatile boolean isNew;

  /** The first tick comes at once, off the schedule; one that is due right after it is left out. */
  private volatile long notBeforeNanos;

  // Touched by whoever has the device's turn only.
  private PowerReader<D, S> reader;
  private final FailureLog failures;

  Sampled(
      String name,
      DeviceWorker<D> worker,
      Supplier<PowerReader<D, S>> readers,
      long periodNanos,
      NanoClock clock,
      LongSupplier timestampMs) {
    this.timestampMs = timestampMs;
    this.failures = new FailureLog(LOG, name, "reading power fails", "power can be read again");
    this.worker = worker;
    this.readers = readers;
    this.periodNanos = periodNanos;
    this.clock = clock;
    this.single = device -> readers.get().read(device, timestampMs);
  }

  DeviceWorker<D> worker() {
    return worker;
  }

  LongSupplier timestampMs() {
    return timestampMs;
  }

  /** One subscriber more; true for the first. With the sampler's lock held, as the next one. */
  boolean join() {
    if (subscribers == 0) {
      isNew = true;
    }
    subscribers = subscribers + 1;
    return subscribers == 1;
  }

  /** One subscriber less; true for the last. */
  boolean leave() {
    subscribers = subscribers - 1;
    return subscribers == 0;
  }

  boolean isWanted() {
    return subscribers > 0;
  }

  boolean isDue(long dueNanos, boolean onSchedule) {
    return isWanted() && (isNew || onSchedule && dueNanos - notBeforeNanos >= 0);
  }

  /** Whether the caller is the one that lets the device's thread read it. */
  boolean beginWaiting() {
    return !waits.get() && waits.compareAndSet(false, true);
  }

  /** The next tick may let the device's thread read it again. */
  void endWaiting() {
    waits.set(false);
  }

  /**
   * Reads the device, for whom it is the caller's turn.
   *
   * @return null where power is a difference and this was the first of two reads
   */
  Board.Entry<S> read(long startNanos) {
    if (isNew) {
      isNew = false;
      notBeforeNanos = startNanos + periodNanos / 2;
      reader = readers.get();
      failures.startAnew();
    }
    try {
      S sample = reader.read(worker.device(), timestampMs);
      failures.worked();
      long readNanos = clock.nanoTime();
      worker.readTimes().note(readNanos - startNanos, false);
      return sample == null ? null : Board.Entry.read(sample, readNanos);
    } catch (Throwable e) {
      // Whatever it is: the next tick tries again.
      failures.failed(e);
      long readNanos = clock.nanoTime();
      worker.readTimes().note(readNanos - startNanos, true);
      return Board.Entry.failed(readNanos);
    }
  }

  /** One read, for whoever waits for it. */
  CompletableFuture<S> readOnce() {
    return worker.runOrShare(single);
  }
}
