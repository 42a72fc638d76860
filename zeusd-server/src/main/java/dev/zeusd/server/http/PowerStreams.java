package dev.zeusd.server.http;

import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.core.sampling.Subscription;
import dev.zeusd.server.StreamFormat;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.http.sse.SseEvent;
import io.helidon.webserver.http.Handler;
import java.nio.channels.SocketChannel;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.function.Function;

/** The streams of power that are open, and the handlers that open them. */
public final class PowerStreams implements AutoCloseable {
  private static final String FORMAT = "format";
  private static final long WATCH_INTERVAL_MILLIS = 1000;
  private static final int RETRY_AFTER_SECONDS = 10;

  private final StreamFormat defaultFormat;
  private final Connections connections;
  private final int maxStreams;
  private final Semaphore free;
  private final Set<SseStream<?>> open = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;
  private boolean watching;

  /** Streams of {@code defaultFormat}, unless a request asks for another one. */
  public PowerStreams(StreamFormat defaultFormat, Connections connections, int maxStreams) {
    this.defaultFormat = defaultFormat;
    this.connections = connections;
    this.maxStreams = maxStreams;
    free = new Semaphore(maxStreams);
  }

  /**
   * How the samples of one kind are written.
   *
   * @param sample one event of the sample dialect, as JSON
   * @param snapshot one event of the snapshot dialect, as JSON
   */
  record Dialects<S>(Function<S, byte[]> sample, Function<List<S>, byte[]> snapshot) {}

  /** Handles requests for a stream of {@code sampler}'s devices. */
  <S extends PowerSample> Handler handler(
      String idsParameter,
      Collection<Integer> existing,
      PowerSampler<?, S> sampler,
      Dialects<S> dialects) {
    Function<S, SseEvent> sampleEvent =
        new OncePerSample<>(sample -> SseStream.event(dialects.sample().apply(sample)));
    return bounded(
        (request, response) -> {
          Query query = Query.of(request, Set.of(idsParameter, FORMAT));
          Collection<Integer> ids = query.idsOrAll(idsParameter, existing);
          StreamFormat format =
              query.optional(FORMAT).map(text -> format(query, text)).orElse(defaultFormat);
          SocketChannel channel = connections.channelForStream(request);
          // Whatever the client sends from here on is thrown away, so nothing can follow.
          response.header(HeaderValues.CONNECTION_CLOSE);
          try (Subscription<S> subscription = sampler.subscribe(ids)) {
            SseStream<S> stream = new SseStream<>(subscription, channel);
            open(stream);
            try {
              switch (format) {
                case SAMPLE -> stream.runSamples(response, sampleEvent);
                case SNAPSHOT -> stream.runSnapshots(response, dialects.snapshot());
              }
            } finally {
              open.remove(stream);
            }
          }
        });
  }

  private Handler bounded(Handler stream) {
    return (request, response) -> {
      if (!free.tryAcquire()) {
        HttpException e =
            new HttpException(
                "there are " + maxStreams + " streams, and no more at a time",
                Status.SERVICE_UNAVAILABLE_503,
                true);
        e.header(HeaderValues.create(HeaderNames.RETRY_AFTER, RETRY_AFTER_SECONDS));
        throw e;
      }
      try {
        stream.handle(request, response);
      } finally {
        free.release();
      }
    };
  }

  private static StreamFormat format(Query query, String text) {
    for (StreamFormat format : StreamFormat.values()) {
      if (format.wireName().equals(text)) {
        return format;
      }
    }
    throw query.malformed(FORMAT, "is not sample or snapshot");
  }

  private void open(SseStream<?> stream) {
    open.add(stream);
    if (closed) {
      throw new HttpException("the daemon is stopping", Status.SERVICE_UNAVAILABLE_503);
    }
    synchronized (this) {
      if (!watching) {
        watching = true;
        Thread.ofVirtual().name("stream watch").start(this::watch);
      }
    }
  }

  /** Drops clients that do not read; runs only while there are streams. */
  private void watch() {
    try {
      while (true) {
        Thread.sleep(WATCH_INTERVAL_MILLIS);
        open.forEach(SseStream::dropIfStuck);
        synchronized (this) {
          if (open.isEmpty()) {
            watching = false;
            return;
          }
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends all streams, those of stuck clients included. */
  @Override
  public void close() {
    closed = true;
    open.forEach(SseStream::end);
  }

  /**
   * Makes the event of a sample once, however many subscribers get it: they all come for the same
   * sample of a device within the same tick.
   */
  private static final class OncePerSample<S extends PowerSample> implements Function<S, SseEvent> {
    private final Function<S, SseEvent> encode;
    private final ConcurrentHashMap<Integer, Encoded> newest = new ConcurrentHashMap<>();

    private record Encoded(PowerSample sample, SseEvent event) {}

    OncePerSample(Function<S, SseEvent> encode) {
      this.encode = encode;
    }

    @Override
    public SseEvent apply(S sample) {
      Encoded known = newest.get(sample.id());
      if (known != null && known.sample == sample) {
        return known.event;
      }
      SseEvent event = encode.apply(sample);
      newest.put(sample.id(), new Encoded(sample, event));
      return event;
    }
  }
}
