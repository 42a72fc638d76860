package dev.zeusd.server.http;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.sampling.DeviceWorker;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** One call on several devices, side by side, and what came of it. */
final class FanOut {
  private FanOut() {}

  /** Devices as requests name them, by ascending id; those that are there by now. */
  static final class ById<D> {
    private final Supplier<List<DeviceWorker<D>>> source;
    private final Predicate<D> isOneOfAll;
    private volatile Known<D> known;

    private record Known<D>(
        List<DeviceWorker<D>> workers,
        SortedMap<Integer, DeviceWorker<D>> byId,
        List<Integer> all) {
      Known(List<DeviceWorker<D>> workers, Predicate<D> isOneOfAll) {
        this(
            workers,
            workers.stream()
                .collect(
                    Collectors.toMap(
                        DeviceWorker::id, Function.identity(), (a, b) -> a, TreeMap::new)),
            workers.stream()
                .filter(worker -> isOneOfAll.test(worker.device()))
                .map(DeviceWorker::id)
                .sorted()
                .toList());
      }
    }

    ById(Supplier<List<DeviceWorker<D>>> source) {
      this(source, device -> true);
    }

    /** With {@code isOneOfAll}: whether a device is meant where a request names none. */
    ById(Supplier<List<DeviceWorker<D>>> source, Predicate<D> isOneOfAll) {
      this.source = source;
      this.isOneOfAll = isOneOfAll;
      this.known = new Known<>(List.of(), isOneOfAll);
    }

    DeviceWorker<D> get(int id) {
      return known.byId.get(id);
    }

    Collection<Integer> ids() {
      List<DeviceWorker<D>> workers = source.get();
      if (workers != known.workers) {
        replace(workers);
      }
      return known.byId.keySet();
    }

    /** Those that a request names in {@code parameter}, or all. */
    Collection<Integer> wanted(Query query, String parameter) {
      Collection<Integer> existing = ids();
      return query.idsOrAll(parameter, existing, known.all);
    }

    /** Devices never go; who comes late with a shorter list must not undo a longer one. */
    private synchronized void replace(List<DeviceWorker<D>> workers) {
      if (workers.size() > known.workers.size()) {
        known = new Known<>(workers, isOneOfAll);
      }
    }
  }

  /**
   * What came of the calls.
   *
   * @param values by ascending id
   * @param failures of the other devices
   */
  record Outcome<T>(SortedMap<Integer, T> values, Map<Integer, DeviceException> failures) {
    /**
     * The body of the answer.
     *
     * @param form writes the values
     * @throws DeviceErrors if at least one device failed, with the values of the others
     */
    byte[] json(Function<SortedMap<Integer, T>, byte[]> form) {
      if (failures.isEmpty()) {
        return form.apply(values);
      }
      throw new DeviceErrors(
          failures, values.isEmpty() ? Optional.empty() : Optional.of(form.apply(values)));
    }

    /**
     * Where there is nothing to tell but failures.
     *
     * @throws DeviceErrors if at least one device failed
     */
    void requireSuccess() {
      if (!failures.isEmpty()) {
        throw new DeviceErrors(failures, Optional.empty());
      }
    }
  }

  /** Devices that failed, by id; the calls of the others have happened all the same. */
  static final class DeviceErrors extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient Map<Integer, DeviceException> byId;
    private final transient Optional<byte[]> others;

    DeviceErrors(Map<Integer, DeviceException> byId, Optional<byte[]> others) {
      super(describe(byId), null, false, false);
      this.byId = byId;
      this.others = others;
    }

    private static String describe(Map<Integer, DeviceException> byId) {
      return byId.entrySet().stream()
          .map(failed -> failed.getKey() + ": " + failed.getValue().getMessage())
          .collect(Collectors.joining("; "));
    }

    Map<Integer, DeviceException> byId() {
      return byId;
    }

    /** The answer without them, as JSON, if any other device was read. */
    Optional<byte[]> others() {
      return others;
    }
  }

  /** Starts {@code call} for every id, then waits for all, together no longer than for one. */
  static <T> Outcome<T> all(Collection<Integer> ids, IntFunction<CompletableFuture<T>> call) {
    List<CompletableFuture<T>> running = new ArrayList<>(ids.size());
    for (int id : ids) {
      running.add(start(call, id));
    }
    long deadline = System.nanoTime() + DeviceWorker.ANSWER_TIME.toNanos();
    SortedMap<Integer, T> values = new TreeMap<>();
    Map<Integer, DeviceException> failures = new TreeMap<>();
    int next = 0;
    for (int id : ids) {
      try {
        values.put(id, DeviceWorker.await(running.get(next++), deadline));
      } catch (DeviceException e) {
        failures.put(id, e);
      }
    }
    return new Outcome<>(values, failures);
  }

  private static <T> CompletableFuture<T> start(IntFunction<CompletableFuture<T>> call, int id) {
    try {
      return call.apply(id);
    } catch (DeviceException e) {
      return CompletableFuture.failedFuture(e);
    }
  }
}
