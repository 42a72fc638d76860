package dev.zeusd.core.sampling;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.worker.NanoClock;
import dev.zeusd.core.worker.TimedWork;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Single readings of a power that is the difference of two reads, one period apart. The thread of
 * whoever asks is not needed in between.
 *
 * <p>Thread-safe.
 */
final class DifferenceReads<D, S extends PowerSample> implements AutoCloseable {
  /** Most reads for a single reading: after a reset of the counter there is no difference. */
  private static final int MAX_READS = 5;

  private final Supplier<PowerReader<D, S>> readers;
  private final long periodNanos;
  private final NanoClock clock;
  private final Set<CompletableFuture<S>> underWay = ConcurrentHashMap.newKeySet();

  /**
   * The same object for all who ask for a device, which is how {@link DeviceWorker#share} sees it.
   */
  private final Map<Sampled<D, S>, Function<D, CompletableFuture<S>>> begins =
      new ConcurrentHashMap<>();

  private volatile boolean closed;

  DifferenceReads(Supplier<PowerReader<D, S>> readers, long periodNanos, NanoClock clock) {
    this.readers = readers;
    this.periodNanos = periodNanos;
    this.clock = clock;
  }

  /** Those who ask before the first of the two reads share them. */
  CompletableFuture<S> read(Sampled<D, S> device) {
    Function<D, CompletableFuture<S>> begin =
        begins.computeIfAbsent(device, key -> unused -> begin(key));
    return device.worker().share(begin).thenCompose(Function.identity());
  }

  /** Makes the first of the two reads, on the device's thread. */
  private CompletableFuture<S> begin(Sampled<D, S> device) {
    CompletableFuture<S> result = device.worker().newAnswer();
    underWay.add(result);
    result.whenComplete((sample, failure) -> underWay.remove(result));
    try {
      readOnce(device, readers.get(), result, MAX_READS);
    } catch (Throwable e) {
      result.completeExceptionally(e);
    }
    if (closed) {
      close();
    }
    return result;
  }

  private void readOnce(
      Sampled<D, S> device, PowerReader<D, S> reader, CompletableFuture<S> result, int readsLeft) {
    S sample = reader.read(device.worker().device(), device.timestampMs());
    if (sample != null) {
      result.complete(sample);
    } else if (readsLeft > 1) {
      device
          .worker()
          .schedule(
              clock.nanoTime() + periodNanos,
              due -> {
                try {
                  readOnce(device, reader, result, readsLeft - 1);
                } catch (Throwable e) {
                  result.completeExceptionally(e);
                }
                return TimedWork.NEVER;
              });
    } else {
      throw new DeviceException.Failed("the energy counter goes back all the time");
    }
  }

  /** Ends those that wait for their second read. */
  @Override
  public void close() {
    closed = true;
    for (CompletableFuture<S> result : underWay) {
      result.completeExceptionally(
          new DeviceException.Unavailable("closed before the second read"));
    }
  }
}
