package dev.zeusd.client;

import java.io.IOException;
import java.util.Map;
import java.util.Optional;

/** Keeps a lease alive, by a thread of its own, until it is closed or the lease has ended. */
final class LeaseKeeper implements AutoCloseable {
  private static final long LONGEST_PAUSE_MILLIS = 2000;

  private final Http http;
  private final String leaseId;
  private final LeaseRequest.Keeping keeping;
  private final long ttlMillis;
  private final BackOff backOff;

  // Guarded by this.
  private Optional<EventStream> stream = Optional.empty();
  private boolean closed;
  private boolean lost;

  LeaseKeeper(Http http, String leaseId, LeaseRequest request) {
    this.http = http;
    this.leaseId = leaseId;
    this.keeping = request.keeping();
    this.ttlMillis = request.ttl().toMillis();
    this.backOff = new BackOff(Math.min(LONGEST_PAUSE_MILLIS, ttlMillis / 4));
  }

  void start() {
    if (keeping != LeaseRequest.Keeping.NOT) {
      // It waits for the daemon, for as long as there is the lease.
      Thread.ofPlatform().daemon().name("zeusd lease").start(this::keep);
    }
  }

  private void keep() {
    boolean byStream = keeping == LeaseRequest.Keeping.BY_STREAM;
    while (!isOver()) {
      long pauseMillis = ttlMillis / 3;
      try {
        if (byStream) {
          hold();
          pauseMillis = backOff.nextMillis();
        } else {
          renew();
          backOff.reset();
        }
      } catch (ZeusdException e) {
        pauseMillis = backOff.nextMillis();
        if (e.status().isPresent() && e.isTransient()) {
          // No more streams just now: what else there is to do.
          byStream = false;
        } else if (!e.isTransient()) {
          lose();
        }
      }
      pause(pauseMillis);
    }
  }

  /** Until the stream ends. */
  private void hold() {
    try (EventStream events =
        EventStream.open(http, Target.of("/lease/hold").with("lease_id", leaseId), new Opening())) {
      synchronized (this) {
        if (closed) {
          return;
        }
        stream = Optional.of(events);
      }
      for (Optional<String> data = events.next(); data.isPresent(); data = events.next()) {
        backOff.reset();
        if (Json.object(data.get()).getString("state", "").equals("ended")) {
          lose();
          return;
        }
      }
    } catch (IOException e) {
      // Closed from here, or broken over there: the loop knows.
    }
  }

  void renew() {
    http.post(Target.of("/lease/renew").with("lease_id", leaseId), Map.of());
  }

  private synchronized boolean isOver() {
    return closed || lost || http.isClosed();
  }

  private synchronized void lose() {
    lost = !closed;
  }

  synchronized boolean isLost() {
    return lost;
  }

  private synchronized void pause(long millis) {
    try {
      long deadline = System.nanoTime() + millis * 1_000_000;
      for (long left = millis; !closed && !lost && left > 0; ) {
        wait(left);
        left = (deadline - System.nanoTime()) / 1_000_000;
      }
    } catch (InterruptedException e) {
      closed = true;
    }
  }

  @Override
  public synchronized void close() {
    closed = true;
    stream.ifPresent(EventStream::close);
    notifyAll();
  }
}
