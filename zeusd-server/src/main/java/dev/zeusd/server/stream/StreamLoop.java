package dev.zeusd.server.stream;

import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.server.StreamFormat;
import dev.zeusd.server.connection.TryLater;
import io.helidon.http.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;

/**
 * The thread that serves all streams, and the groups that they are in. There is one while there are
 * streams.
 *
 * <p>Thread-safe.
 */
final class StreamLoop implements AutoCloseable {
  /** By then the next one may be there. */
  private static final Duration RESTART = Duration.ofSeconds(1);

  private static final System.Logger LOG = System.getLogger(StreamLoop.class.getName());

  private final Map<Key, StreamGroup<?>> groups = new ConcurrentHashMap<>();
  private volatile boolean closed;

  /** Null while there are no streams. */
  private volatile Thread server;

  /** What streams have in common that get the same bytes. */
  private record Key(PowerSampler<?, ?> sampler, List<Integer> ids, StreamFormat format) {}

  /** Adds a stream of some devices of {@code sampler}; {@code dialect} is that of the format. */
  <S extends PowerSample> void join(
      SseStream stream,
      PowerSampler<?, S> sampler,
      List<Integer> ids,
      StreamFormat format,
      Dialect<S> dialect) {
    groups.compute(
        new Key(sampler, ids, format),
        (same, group) -> {
          if (closed) {
            throw TryLater.refusal(
                Status.SERVICE_UNAVAILABLE_503, "the daemon is stopping", RESTART);
          }
          if (group != null && group.join(stream)) {
            return group;
          }
          return new StreamGroup<>(
              stream, onNews -> sampler.subscribe(ids, onNews), dialect, this::wake);
        });
    startOrWake();
  }

  private synchronized void startOrWake() {
    if (server == null) {
      // A platform thread: it is woken for every tick, which takes a virtual one twice as long, and
      // writes to thousands of clients in one go.
      server = Thread.ofPlatform().name("power streams").daemon().start(this::serve);
    } else {
      wake();
    }
  }

  private void wake() {
    LockSupport.unpark(server);
  }

  private void serve() {
    try {
      do {
        LockSupport.parkNanos(this, stepAll());
      } while (!endIfIdle());
    } finally {
      endAfterError();
    }
  }

  private long stepAll() {
    long pauseNanos = Long.MAX_VALUE;
    for (Map.Entry<Key, StreamGroup<?>> entry : groups.entrySet()) {
      pauseNanos = Math.min(pauseNanos, step(entry.getValue()));
      if (entry.getValue().isOver()) {
        groups.remove(entry.getKey(), entry.getValue());
        entry.getValue().close();
        pauseNanos = 0;
      }
    }
    return pauseNanos;
  }

  private static long step(StreamGroup<?> group) {
    try {
      return group.step();
    } catch (RuntimeException e) {
      LOG.log(System.Logger.Level.ERROR, "unexpected failure of streams", e);
      group.close();
      return 0;
    }
  }

  /** The next stream starts another thread. */
  private synchronized void endAfterError() {
    if (server == Thread.currentThread()) {
      server = null;
    }
  }

  private synchronized boolean endIfIdle() {
    if (groups.isEmpty()) {
      server = null;
    }
    return server == null;
  }

  /** Ends all streams, those of stuck clients included. */
  @Override
  public void close() {
    closed = true;
    groups.values().forEach(StreamGroup::close);
  }
}
