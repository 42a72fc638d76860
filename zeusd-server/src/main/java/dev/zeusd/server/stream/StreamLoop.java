package dev.zeusd.server.stream;

import dev.zeusd.server.connection.TryLater;
import io.helidon.http.Status;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * A thread that writes streams, and the groups that they are in. It is there while there are
 * streams.
 *
 * <p>Thread-safe.
 */
final class StreamLoop implements AutoCloseable {
  /** By then the next one may be there. */
  private static final Duration RESTART = Duration.ofSeconds(1);

  private static final System.Logger LOG = System.getLogger(StreamLoop.class.getName());

  private final String name;
  private final Map<Object, StreamGroup> groups = new ConcurrentHashMap<>();
  private volatile boolean closed;

  /** Null while there are no streams. */
  private volatile Thread server;

  /** No streams yet; {@code name} is that of the thread. */
  StreamLoop(String name) {
    this.name = name;
  }

  /**
   * Adds a stream to the group with this key, or to a new one.
   *
   * @param newGroup of this stream alone
   */
  void join(Object key, SseStream stream, Supplier<StreamGroup> newGroup) {
    groups.compute(
        key,
        (same, group) -> {
          if (closed) {
            throw TryLater.refusal(
                Status.SERVICE_UNAVAILABLE_503, "the daemon is stopping", RESTART);
          }
          return group != null && group.join(stream) ? group : newGroup.get();
        });
    startOrWake();
  }

  private synchronized void startOrWake() {
    if (server == null) {
      // A platform thread: it is woken for every tick, which takes a virtual one twice as long, and
      // writes to thousands of clients in one go.
      server = Thread.ofPlatform().name(name).daemon().start(this::serve);
    } else {
      wake();
    }
  }

  /** Has it look at once what is due. */
  void wake() {
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
    for (Map.Entry<Object, StreamGroup> entry : groups.entrySet()) {
      pauseNanos = Math.min(pauseNanos, step(entry.getValue()));
      if (entry.getValue().isOver()) {
        groups.remove(entry.getKey(), entry.getValue());
        entry.getValue().close();
        pauseNanos = 0;
      }
    }
    return pauseNanos;
  }

  private static long step(StreamGroup group) {
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
    wake();
  }
}
