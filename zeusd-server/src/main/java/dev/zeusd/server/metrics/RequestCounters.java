package dev.zeusd.server.metrics;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.atomic.LongAdder;

/**
 * How many requests were answered, by endpoint and status. To count one takes a look-up of a known
 * string, and no lock.
 *
 * <p>Thread-safe once all endpoints are known.
 */
public final class RequestCounters {
  /** Where no endpoint was found, or the request was refused before that. */
  public static final String NO_ENDPOINT = "none";

  private static final int[] STATUSES = {
    200, 201, 204, 400, 401, 403, 404, 405, 409, 410, 413, 423, 429, 431, 500, 503
  };

  /** By status; the place in {@link #STATUSES}, or behind its end for one that is not there. */
  private static final byte[] PLACES = places();

  private final Map<String, Answers> byEndpoint = new HashMap<>();
  private final Answers ofNoEndpoint = new Answers();

  /** By the place of the status; null until there was one. */
  private static final class Answers {
    private final AtomicReferenceArray<LongAdder> counters =
        new AtomicReferenceArray<>(STATUSES.length + 1);

    void count(int place) {
      LongAdder counter = counters.get(place);
      if (counter == null) {
        counters.compareAndSet(place, null, new LongAdder());
        counter = counters.get(place);
      }
      counter.increment();
    }
  }

  private static byte[] places() {
    byte[] places = new byte[600];
    for (int status = 0; status < places.length; status++) {
      places[status] = (byte) STATUSES.length;
    }
    for (int place = 0; place < STATUSES.length; place++) {
      places[STATUSES[place]] = (byte) place;
    }
    return places;
  }

  /** An endpoint that there is; before requests come. */
  public void add(String endpoint) {
    byEndpoint.put(endpoint, new Answers());
  }

  /**
   * A request was answered.
   *
   * @param endpoint as it was added, or anything else for none
   */
  public void count(String endpoint, int status) {
    byEndpoint
        .getOrDefault(endpoint, ofNoEndpoint)
        .count(status >= 0 && status < PLACES.length ? PLACES[status] : STATUSES.length);
  }

  /** Gets one count after the other. */
  interface Visitor {
    void visit(String endpoint, String status, long count);
  }

  /** Shows all that are not 0, by endpoint and status. */
  void visit(Visitor visitor) {
    Map<String, Answers> all = new TreeMap<>(byEndpoint);
    all.put(NO_ENDPOINT, ofNoEndpoint);
    all.forEach(
        (endpoint, answers) -> {
          for (int place = 0; place <= STATUSES.length; place++) {
            LongAdder counter = answers.counters.get(place);
            if (counter != null) {
              String status = place < STATUSES.length ? Integer.toString(STATUSES[place]) : "other";
              visitor.visit(endpoint, status, counter.sum());
            }
          }
        });
  }
}
