package dev.zeusd.core.sampling;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.Flow;
import java.util.function.Supplier;

/**
 * Opens a {@link Subscription} for each subscriber, and another one when that is closed, as it is
 * when there are more devices; the end comes when the new one is closed, too, as it is then when
 * the node is.
 *
 * <p>A subscriber that requests no more for a while goes on with the latest values: at most one of
 * each device waits for it.
 *
 * @param <S> the samples
 */
public final class SamplePublisher<S extends PowerSample> implements Flow.Publisher<S> {
  /** Any; whoever closes the subscription or cancels ends the wait. */
  private static final Duration LONG = Duration.ofHours(1);

  private final Supplier<Subscription<S>> subscriptions;

  /**
   * Subscribes to no device before somebody subscribes to this.
   *
   * @param subscriptions subscribes anew, for each subscriber
   */
  public SamplePublisher(Supplier<Subscription<S>> subscriptions) {
    this.subscriptions = Objects.requireNonNull(subscriptions);
  }

  @Override
  public void subscribe(Flow.Subscriber<? super S> subscriber) {
    Delivery delivery = new Delivery(Objects.requireNonNull(subscriber));
    // It calls the subscriber, which may take its time.
    Thread.ofPlatform().daemon().name("power samples").start(delivery::run);
  }

  /** One subscriber, called by a thread of its own. */
  private final class Delivery implements Flow.Subscription {
    private final Flow.Subscriber<? super S> subscriber;

    /** Touched by the thread only. */
    private final Queue<S> taken = new ArrayDeque<>();

    // Guarded by this.
    private long demand;
    private boolean isCancelled;
    private boolean isWrong;

    /** Or null. */
    private Subscription<S> source;

    Delivery(Flow.Subscriber<? super S> subscriber) {
      this.subscriber = subscriber;
    }

    @Override
    public synchronized void request(long count) {
      if (count <= 0) {
        isWrong = true;
      } else {
        demand = demand + count < 0 ? Long.MAX_VALUE : demand + count;
      }
      notifyAll();
    }

    @Override
    public synchronized void cancel() {
      isCancelled = true;
      if (source != null) {
        source.close();
      }
      notifyAll();
    }

    private void run() {
      subscriber.onSubscribe(this);
      try {
        while (deliverNext()) {
          // On and on.
        }
      } catch (InterruptedException e) {
        cancel();
      } catch (RuntimeException | Error e) {
        // The subscriber's own: it is not called again.
        cancel();
        throw e;
      }
    }

    /** Delivers a sample; false if that was the end. */
    private boolean deliverNext() throws InterruptedException {
      if (!awaitDemand()) {
        return false;
      }
      if (taken.isEmpty()) {
        Subscription<S> open;
        try {
          open = openSource();
        } catch (RuntimeException e) {
          return end(() -> subscriber.onError(e));
        }
        if (open.isClosed()) {
          return end(subscriber::onComplete);
        }
        taken.addAll(open.poll(LONG));
      } else {
        synchronized (this) {
          demand--;
        }
        subscriber.onNext(taken.remove());
      }
      return true;
    }

    /** Waits; false if there is nothing more to do. */
    private boolean awaitDemand() throws InterruptedException {
      synchronized (this) {
        while (demand == 0 && !isCancelled && !isWrong) {
          wait();
        }
        if (isCancelled) {
          return false;
        }
      }
      return !isWrong()
          || end(
              () ->
                  subscriber.onError(
                      new IllegalArgumentException(
                          "a subscriber has to request at least one sample")));
    }

    private synchronized boolean isWrong() {
      return isWrong;
    }

    private boolean end(Runnable tell) {
      boolean isTold;
      synchronized (this) {
        isTold = !isCancelled;
        cancel();
      }
      if (isTold) {
        tell.run();
      }
      return false;
    }

    private synchronized Subscription<S> openSource() {
      if (source == null || source.isClosed() && !isCancelled) {
        source = subscriptions.get();
      }
      if (isCancelled) {
        source.close();
      }
      return source;
    }
  }
}
