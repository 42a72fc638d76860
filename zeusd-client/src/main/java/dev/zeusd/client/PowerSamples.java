package dev.zeusd.client;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.function.Function;

/**
 * Samples of power as they are measured: first the current one of each device, then one whenever it
 * has changed. When the daemon is gone, it is asked again and again, with longer and longer pauses,
 * and the samples go on as soon as it is back; {@link #isConnected} tells.
 *
 * <p>One thread iterates; any other may {@link #close}, which ends the iteration. Who is slow gets
 * what has been sent meanwhile, and then the latest values.
 *
 * @param <T> {@link GpuPowerSample} or {@link CpuPowerSample}
 */
public final class PowerSamples<T> implements Iterable<T>, AutoCloseable {
  private static final long LONGEST_PAUSE_MILLIS = 5000;

  private final Http http;
  private final Target target;
  private final Function<String, List<T>> samplesOf;
  private final BackOff backOff = new BackOff(LONGEST_PAUSE_MILLIS);
  private final Deque<T> read = new ArrayDeque<>();

  // Guarded by this.
  private Optional<EventStream> events;
  private Opening opening = new Opening();
  private boolean closed;

  /** Connects at once, so that what is wrong is told at once. */
  PowerSamples(Http http, Target target, Function<String, List<T>> samplesOf) {
    this.http = http;
    this.target = target;
    this.samplesOf = samplesOf;
    this.events = Optional.of(EventStream.open(http, target, opening));
  }

  /** {@return whether the daemon was there when it was last heard of} */
  public synchronized boolean isConnected() {
    return events.isPresent();
  }

  /**
   * {@return the samples from now on; always the same iterator} Its {@code hasNext} waits for the
   * next one.
   *
   * @throws ZeusdException from {@code hasNext}, if the daemon refuses to go on, as when a token
   *     has expired
   */
  @Override
  public Iterator<T> iterator() {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return await();
      }

      @Override
      public T next() {
        if (!await()) {
          throw new NoSuchElementException("closed");
        }
        return read.removeFirst();
      }
    };
  }

  /** Whether there is a sample; false when closed. */
  private boolean await() {
    while (read.isEmpty()) {
      Optional<EventStream> current = current();
      if (current.isEmpty()) {
        if (isClosed()) {
          return false;
        }
        reconnect();
        continue;
      }
      try {
        Optional<String> data = current.get().next();
        data.ifPresentOrElse(text -> read.addAll(samplesOf.apply(text)), this::disconnected);
        if (data.isPresent()) {
          backOff.reset();
        }
      } catch (IOException e) {
        disconnected();
      }
    }
    return true;
  }

  private synchronized Optional<EventStream> current() {
    return events;
  }

  private synchronized boolean isClosed() {
    return closed || http.isClosed();
  }

  private synchronized void disconnected() {
    events.ifPresent(EventStream::close);
    events = Optional.empty();
  }

  private void reconnect() {
    if (!pause(backOff.nextMillis())) {
      return;
    }
    try {
      EventStream opened = EventStream.open(http, target, begin());
      synchronized (this) {
        if (closed) {
          opened.close();
        } else {
          events = Optional.of(opened);
        }
      }
    } catch (ZeusdException e) {
      if (!isClosed() && !e.isTransient()) {
        throw e;
      }
    }
  }

  private synchronized Opening begin() {
    opening = new Opening();
    if (closed) {
      closeQuietly(opening);
    }
    return opening;
  }

  private static void closeQuietly(Opening opening) {
    try {
      opening.close();
    } catch (IOException e) {
      // It is gone in either case.
    }
  }

  /** False if closed meanwhile. */
  private synchronized boolean pause(long millis) {
    try {
      long deadline = System.nanoTime() + millis * 1_000_000;
      for (long left = millis; !closed && left > 0; ) {
        wait(left);
        left = (deadline - System.nanoTime()) / 1_000_000;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      closed = true;
    }
    return !closed;
  }

  /** Ends the iteration, as closing the client does. */
  @Override
  public synchronized void close() {
    closed = true;
    disconnected();
    closeQuietly(opening);
    notifyAll();
  }
}
