package dev.zeusd.server.connection;

import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.server.Limits;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;

/**
 * Who has how many places in the queues of GPUs, for commands that wait or run. One peer may have
 * as many in a queue as are left free for others.
 *
 * <p>Thread-safe.
 */
public final class QueuePlaces {
  private final Map<Place, Integer> taken = new HashMap<>();
  private final Map<Integer, Integer> takenByAll = new HashMap<>();

  private record Place(Peer peer, int gpuId) {}

  /** Places that have been taken. */
  public interface Held {
    /** The command is over, or was not queued after all; once for each GPU. */
    void leave(int gpuId);
  }

  /**
   * A place in each of these queues.
   *
   * @throws HttpException 429 if {@code peer} has had its share of one of them
   */
  synchronized Held enter(Peer peer, Collection<Integer> gpuIds) {
    for (int id : gpuIds) {
      int own = taken.getOrDefault(new Place(peer, id), 0);
      if (own >= DeviceWorker.QUEUE_CAPACITY - takenByAll.getOrDefault(id, 0)) {
        throw TryLater.refusal(
            Status.TOO_MANY_REQUESTS_429,
            "%s has %d commands waiting for GPU %d, which is its share of the %d that may wait; let some of them end first"
                .formatted(peer, own, id, DeviceWorker.QUEUE_CAPACITY),
            Limits.SOON);
      }
    }
    for (int id : gpuIds) {
      taken.merge(new Place(peer, id), 1, Integer::sum);
      takenByAll.merge(id, 1, Integer::sum);
    }
    return id -> leave(new Place(peer, id));
  }

  private synchronized void leave(Place place) {
    decrement(taken, place);
    decrement(takenByAll, place.gpuId);
  }

  private static <K> void decrement(Map<K, Integer> counts, K key) {
    counts.computeIfPresent(key, (same, count) -> count == 1 ? null : count - 1);
  }
}
