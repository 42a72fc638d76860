package dev.zeusd.core.sampling;

import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * The devices of a {@link PowerSampler}, which are read while somebody wants them. A tick reads
 * those that are quick and idle on the ticker's thread, and what they show is published together.
 * One that is slow or busy is left to its own thread, and published by itself when it answers.
 */
final class SampledDevices<D, S extends PowerSample> implements Ticker.Pass, AutoCloseable {
  /** Which part of a period the reads of one tick may take on the ticker's thread. */
  private static final int PART_OF_PERIOD = 4;

  private final List<Sampled<D, S>> devices = new ArrayList<>();
  private final long budgetNanos;
  private final NanoClock clock;
  private final Ticker ticker;
  private final Consumer<Board.Entry<S>[]> publisher;

  /**
   * Reads nothing yet.
   *
   * @param publisher gets what was read, by index of the device
   */
  SampledDevices(
      PowerKind<D, S> kind,
      List<DeviceWorker<D>> workers,
      long periodNanos,
      NanoClock clock,
      Consumer<Board.Entry<S>[]> publisher) {
    LongSupplier timestampMs = TimestampClock.of(clock)::nowMs;
    for (DeviceWorker<D> worker : workers) {
      String name = kind.name() + " " + worker.id();
      devices.add(new Sampled<>(name, worker, kind.readers(), periodNanos, clock, timestampMs));
    }
    this.budgetNanos = periodNanos / PART_OF_PERIOD;
    this.clock = clock;
    this.publisher = publisher;
    this.ticker = new Ticker(kind.name() + " power", periodNanos, clock, this);
  }

  int count() {
    return devices.size();
  }

  Sampled<D, S> at(int index) {
    return devices.get(index);
  }

  /**
   * Where a device is.
   *
   * @throws IllegalArgumentException if there is none with this id
   */
  int indexOf(int id) {
    for (int index = 0; index < devices.size(); index++) {
      if (devices.get(index).worker().id() == id) {
        return index;
      }
    }
    throw new IllegalArgumentException("no such device: " + id);
  }

  // ---- Who wants them: with the sampler's lock held ----

  /** One subscriber more, of these. */
  void join(int[] indices) {
    for (int index : indices) {
      boolean isFirstOfAll = !areWanted();
      if (devices.get(index).join()) {
        if (isFirstOfAll) {
          ticker.start();
        } else {
          ticker.passNow();
        }
      }
    }
  }

  /** One subscriber less of this one; true for the last. */
  boolean leave(int index) {
    boolean isLast = devices.get(index).leave();
    if (!areWanted()) {
      ticker.stop();
    }
    return isLast;
  }

  boolean areWanted() {
    return devices.stream().anyMatch(Sampled::isWanted);
  }

  /** Ends the ticks; a pass that runs comes to its end, unless it hangs. */
  @Override
  public void close() {
    ticker.close();
  }

  // ---- How they are read ----

  @Override
  public void run(Lead lead, long dueNanos, boolean onSchedule) {
    Board.Entry<S>[] read = Board.newEntries(devices.size());
    long leftNanos = budgetNanos;
    for (int index = 0; index < read.length && !lead.isOver(); index++) {
      Sampled<D, S> device = devices.get(index);
      if (device.isDue(dueNanos, onSchedule)) {
        long expectedNanos = device.worker().recentNanos();
        if (expectedNanos <= leftNanos && device.worker().tryBeginCall()) {
          leftNanos -= expectedNanos;
          read[index] = read(lead, device);
        } else {
          leaveToItsThread(index, device);
        }
      }
    }
    publisher.accept(read);
  }

  private Board.Entry<S> read(Lead lead, Sampled<D, S> device) {
    long start = clock.nanoTime();
    lead.beginCall(start);
    try {
      return device.read(start);
    } finally {
      lead.endCall();
      device.worker().endCall(clock.nanoTime() - start);
    }
  }

  private void leaveToItsThread(int index, Sampled<D, S> device) {
    if (device.beginWaiting()) {
      device
          .worker()
          .callNext(
              () -> device.isWanted() ? device.read(clock.nanoTime()) : null,
              entry -> {
                device.endWaiting();
                Board.Entry<S>[] read = Board.newEntries(devices.size());
                read[index] = entry;
                publisher.accept(read);
              });
    }
  }
}
