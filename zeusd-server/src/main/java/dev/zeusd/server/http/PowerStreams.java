package dev.zeusd.server.http;

import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.server.StreamFormat;
import dev.zeusd.server.connection.Connection;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.Supplier;

/** The streams of power that are open, and the handlers that open them. */
public final class PowerStreams implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(PowerStreams.class.getName());
  private static final String FORMAT = "format";

  private final StreamFormat defaultFormat;
  private final Connections connections;
  private final Map<Key, StreamGroup<?>> groups = new ConcurrentHashMap<>();
  private volatile boolean closed;

  /** Serves all streams; null while there are none. */
  private volatile Thread server;

  /** What streams have in common that get the same bytes. */
  private record Key(PowerSampler<?, ?> sampler, List<Integer> ids, StreamFormat format) {}

  /** Streams of {@code defaultFormat}, unless a request asks for another one. */
  public PowerStreams(StreamFormat defaultFormat, Connections connections) {
    this.defaultFormat = defaultFormat;
    this.connections = connections;
  }

  /**
   * How the samples of one kind are written.
   *
   * @param sample writes one event of the sample dialect, as JSON
   * @param snapshot one event of the snapshot dialect, as JSON
   */
  record Dialects<S>(BiConsumer<S, EventChunk> sample, Function<List<S>, byte[]> snapshot) {
    StreamGroup.Dialect<S> of(StreamFormat format) {
      return switch (format) {
        case SAMPLE ->
            new StreamGroup.Dialect<>() {
              @Override
              public void write(List<S> changed, List<S> current, EventChunk events) {
                for (S each : changed) {
                  sample.accept(each, events.beginEvent());
                  events.endEvent();
                }
              }

              @Override
              public boolean showsAll() {
                return false;
              }
            };
        case SNAPSHOT ->
            new StreamGroup.Dialect<>() {
              @Override
              public void write(List<S> changed, List<S> current, EventChunk events) {
                byte[] json = snapshot.apply(current.isEmpty() ? changed : current);
                events.beginEvent().text(json).endEvent();
              }

              @Override
              public boolean showsAll() {
                return true;
              }
            };
      };
    }
  }

  /**
   * Handles requests for a stream of {@code devices}, which {@code set} gives with their sampler.
   */
  <D, S extends PowerSample> Routes.StreamHandler handler(
      String idsParameter,
      FanOut.ById<D> devices,
      Supplier<DeviceSet<D, S>> set,
      Dialects<S> dialects) {
    return (request, response, acceptedUntil) -> {
      Query query = Query.of(request, Set.of(idsParameter, FORMAT));
      DeviceSet<D, S> now = set.get();
      List<Integer> ids = List.copyOf(devices.wanted(query, idsParameter, now.devices()));
      StreamFormat format =
          query.optional(FORMAT).map(text -> format(query, text)).orElse(defaultFormat);
      Connection connection = connections.openStream(request);
      try {
        SseStream stream = new SseStream(connection.channel(), request, response, acceptedUntil);
        if (Routes.isHead(request)) {
          stream.sendHeadOnly();
        }
        connection.beginStream(stream);
        join(stream, now.power(), ids, format, dialects.of(format));
        stream.sleepUntilEnded();
      } finally {
        connections.endStream(connection);
      }
    };
  }

  private <S extends PowerSample> void join(
      SseStream stream,
      PowerSampler<?, S> sampler,
      List<Integer> ids,
      StreamFormat format,
      StreamGroup.Dialect<S> dialect) {
    groups.compute(
        new Key(sampler, ids, format),
        (same, group) -> {
          if (closed) {
            throw new HttpException("the daemon is stopping", Status.SERVICE_UNAVAILABLE_503);
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

  private static StreamFormat format(Query query, String text) {
    for (StreamFormat format : StreamFormat.values()) {
      if (format.wireName().equals(text)) {
        return format;
      }
    }
    throw query.malformed(FORMAT, "is not sample or snapshot");
  }

  /** Ends all streams, those of stuck clients included. */
  @Override
  public void close() {
    closed = true;
    groups.values().forEach(StreamGroup::close);
  }
}
