package dev.zeusd.core.sampling;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/**
 * A subscriber's view of some devices: one slot for each, in which the latest value wins. So a slow
 * subscriber skips values and never grows.
 *
 * <p>{@link #poll} is for one thread at a time, virtual or platform; {@link #close} may come from
 * any thread and any number of times.
 *
 * @param <S> the samples
 */
public final class Subscription<S extends PowerSample> implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Subscription.class.getName());

  private final PowerSampler<?, S> sampler;

  /** Indices within the sampler, ascending. */
  private final int[] devices;

  // Guarded by this.
  private final Object[] pending;
  private final Object[] seen;
  private int pendingCount;
  private boolean closed;

  private final Runnable onNews;
  private volatile boolean onNewsFailed;
  private volatile Thread waiter;

  Subscription(PowerSampler<?, S> sampler, int[] devices, Runnable onNews) {
    this.sampler = sampler;
    this.devices = devices;
    this.onNews = onNews;
    this.pending = new Object[devices.length];
    this.seen = new Object[devices.length];
  }

  /**
   * Waits until a value changed, and takes all that are pending: at most one for each device, by
   * ascending id. The first value of a device counts as a change.
   *
   * @return empty when {@code timeout} passed without a change, or after {@link #close}
   * @throws InterruptedException if the calling thread is interrupted
   */
  public List<S> poll(Duration timeout) throws InterruptedException {
    long deadline = System.nanoTime() + timeout.toNanos();
    waiter = Thread.currentThread();
    try {
      while (true) {
        List<S> taken = pollNow();
        long left = deadline - System.nanoTime();
        if (!taken.isEmpty() || left <= 0 || isClosed()) {
          return taken;
        }
        LockSupport.parkNanos(this, left);
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
      }
    } finally {
      waiter = null;
    }
  }

  /** The current value of each device that has one now; a device that fails has none. */
  public List<S> current() {
    List<S> samples = new ArrayList<>(devices.length);
    for (int device : devices) {
      sampler.current(device).ifPresent(samples::add);
    }
    return samples;
  }

  /** How many devices this was asked for. */
  public int deviceCount() {
    return devices.length;
  }

  /**
   * What a subscriber that comes now would be told first: for one that shares this subscription
   * with others. The value of a device that is not known, is older than a period, or is on its way
   * to all of them, comes with a later {@link #poll}, even if it is what was told before.
   */
  public List<S> refresh() {
    return sampler.refresh(this);
  }

  /** The samples of {@code known} by ascending id; the next ones of other devices are news. */
  synchronized List<S> forgetAllBut(Batch<S> known) {
    List<S> samples = new ArrayList<>(devices.length);
    for (int i = 0; i < devices.length; i++) {
      S sample = known.sample(devices[i]);
      // A change that is pending or about to be published may be older than the sample.
      if (sample == null
          || pending[i] != null
          || seen[i] != null && !sample.samePower((PowerSample) seen[i])) {
        seen[i] = null;
      } else {
        samples.add(sample);
      }
    }
    return samples;
  }

  /** Whether {@link #close} was called. */
  public synchronized boolean isClosed() {
    return closed;
  }

  /** As {@link #poll}, without waiting. */
  @SuppressWarnings("unchecked")
  public synchronized List<S> pollNow() {
    if (pendingCount == 0) {
      return List.of();
    }
    List<S> taken = new ArrayList<>(pendingCount);
    for (int i = 0; i < pending.length; i++) {
      if (pending[i] != null) {
        taken.add((S) pending[i]);
        pending[i] = null;
      }
    }
    pendingCount = 0;
    return taken;
  }

  /** Takes over what this subscriber wants of a batch, and wakes it. */
  void offer(Batch<S> batch) {
    boolean wake = false;
    synchronized (this) {
      for (int i = 0; i < devices.length; i++) {
        S sample = batch.sample(devices[i]);
        if (sample != null
            && sample != seen[i]
            && (seen[i] == null || batch.isChanged(devices[i]))) {
          if (pending[i] == null) {
            pendingCount++;
          }
          pending[i] = sample;
          seen[i] = sample;
          wake = true;
        }
      }
    }
    if (wake) {
      wake();
    }
  }

  private void wake() {
    Thread thread = waiter;
    if (thread != null) {
      LockSupport.unpark(thread);
    }
    try {
      onNews.run();
    } catch (Throwable e) {
      // It is the subscriber's own affair; those that are served after it know nothing of it.
      if (!onNewsFailed) {
        onNewsFailed = true;
        LOG.log(System.Logger.Level.ERROR, "a subscriber fails to be told of news", e);
      }
    }
  }

  int[] devices() {
    return devices;
  }

  /** Ends the subscription; whoever polls returns at once. Idempotent. */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    sampler.unsubscribe(this);
    wake();
  }
}
