package dev.zeusd.core.worker;

import dev.zeusd.core.device.DeviceException;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/**
 * Reads that have not begun, and that more callers may join: what many ask of a slow device does
 * not add up, and yet no value is older than the question.
 *
 * <p>Thread-safe.
 */
final class SharedReads<D> {
  private final CallQueue<D> queue;
  private final NanoClock clock;
  private final Map<Function<? super D, ?>, Waiting<?>> waiting = new ConcurrentHashMap<>();

  private record Waiting<T>(CompletableFuture<T> result, long sinceNanos) {}

  /** None waits; they will in {@code queue}. */
  SharedReads(CallQueue<D> queue, NanoClock clock) {
    this.queue = queue;
    this.clock = clock;
  }

  /**
   * Joins those who wait for the same object {@code read}, or begins to wait for it.
   *
   * @throws DeviceException.Unavailable if it has been waiting for too long
   */
  <T> CompletableFuture<T> join(Function<? super D, ? extends T> read) {
    @SuppressWarnings("unchecked")
    Waiting<T> shared = (Waiting<T>) waiting.computeIfAbsent(read, this::begin);
    if (clock.nanoTime() - shared.sinceNanos > Answer.PATIENCE.toNanos()) {
      // Each one who waits is remembered until the device answers, which may be never.
      throw Answer.missing();
    }
    // Whoever gives up does so for itself only.
    return shared.result.copy();
  }

  private Waiting<?> begin(Function<? super D, ?> read) {
    long now = clock.nanoTime();
    CompletableFuture<Object> result =
        queue.add(
            Mailbox.Kind.READ,
            device -> {
              waiting.remove(read);
              return read.apply(device);
            });
    return new Waiting<>(result, now);
  }
}
