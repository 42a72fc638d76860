package dev.zeusd.client;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Flow;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;

/**
 * Opens a stream for each subscriber. A subscriber that takes nothing for long keeps the latest
 * sample of each device, instead of all.
 */
final class SamplePublisher<T> implements Flow.Publisher<T> {
  private static final int MOST_WAITING = 1000;

  private final Supplier<PowerSamples<T>> open;
  private final ToIntFunction<T> deviceId;

  SamplePublisher(Supplier<PowerSamples<T>> open, ToIntFunction<T> deviceId) {
    this.open = open;
    this.deviceId = deviceId;
  }

  @Override
  public void subscribe(Flow.Subscriber<? super T> subscriber) {
    Subscription subscription = new Subscription(Objects.requireNonNull(subscriber));
    // It calls the subscriber, which may take its time.
    Thread.ofPlatform().daemon().name("zeusd samples").start(subscription::deliver);
  }

  /** One subscriber: a thread reads for it, and another one calls it. */
  private final class Subscription implements Flow.Subscription {
    private final Flow.Subscriber<? super T> subscriber;

    // Guarded by this.
    private final Deque<T> waiting = new ArrayDeque<>();
    private long demand;
    private boolean cancelled;
    private boolean ended;
    private Optional<Throwable> failure = Optional.empty();
    private Optional<PowerSamples<T>> source = Optional.empty();

    Subscription(Flow.Subscriber<? super T> subscriber) {
      this.subscriber = subscriber;
    }

    @Override
    public synchronized void request(long count) {
      if (count <= 0) {
        end(new IllegalArgumentException("a subscriber has to request at least one sample"));
      } else {
        demand = demand + count < 0 ? Long.MAX_VALUE : demand + count;
        notifyAll();
      }
    }

    @Override
    public synchronized void cancel() {
      cancelled = true;
      source.ifPresent(PowerSamples::close);
      notifyAll();
    }

    void deliver() {
      subscriber.onSubscribe(this);
      // It waits for the daemon, for as long as there is a subscriber.
      Thread.ofPlatform().daemon().name("zeusd stream").start(this::read);
      try {
        for (Optional<T> next = next(); next.isPresent(); next = next()) {
          subscriber.onNext(next.get());
        }
      } catch (InterruptedException e) {
        cancel();
      } catch (RuntimeException | Error e) {
        // It must not throw: it is not called again.
        cancel();
        throw e;
      }
      finish();
    }

    private void finish() {
      Optional<Throwable> reason;
      synchronized (this) {
        if (cancelled) {
          return;
        }
        cancel();
        reason = failure;
      }
      reason.ifPresentOrElse(subscriber::onError, subscriber::onComplete);
    }

    /**
     * Waits; empty at the end. Then, what was not requested is not waited for: the client may be
     * closed, and the subscriber never ask again.
     */
    private synchronized Optional<T> next() throws InterruptedException {
      while (!cancelled && !ended && (waiting.isEmpty() || demand == 0)) {
        wait();
      }
      if (cancelled || waiting.isEmpty() || demand == 0) {
        return Optional.empty();
      }
      demand--;
      return Optional.of(waiting.removeFirst());
    }

    private void read() {
      try (PowerSamples<T> samples = open.get()) {
        synchronized (this) {
          source = Optional.of(samples);
          if (cancelled || ended) {
            return;
          }
        }
        samples.forEach(this::add);
        end(null);
      } catch (RuntimeException | Error e) {
        // Whatever it is: else the subscriber would wait for ever.
        end(e);
      }
    }

    private synchronized void end(Throwable reason) {
      if (!ended) {
        ended = true;
        failure = Optional.ofNullable(reason);
        source.ifPresent(PowerSamples::close);
        notifyAll();
      }
    }

    private synchronized void add(T sample) {
      if (ended) {
        return;
      }
      if (waiting.size() >= MOST_WAITING) {
        keepLatest();
      }
      waiting.addLast(sample);
      notifyAll();
    }

    private void keepLatest() {
      Map<Integer, T> latest = new LinkedHashMap<>();
      waiting.forEach(sample -> latest.put(deviceId.applyAsInt(sample), sample));
      waiting.clear();
      waiting.addAll(latest.values());
    }
  }
}
