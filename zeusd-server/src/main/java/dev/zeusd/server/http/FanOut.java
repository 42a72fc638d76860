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

    ById(Supplier<List<DeviceWorker<D>>> source) {
      this(source, device -> true);
    }

    /** With {@code isOneOfAll}: whether a device is meant where a request names none. */
    ById(Supplier<List<DeviceWorker<D>>> source, Predicate<D> isOneOfAll) {
      this.source = source;
      this.isOneOfAll = isOneOfAll;
    }

    /** One of {@link #ids}, since devices never go. */
    DeviceWorker<D> get(int id) {
      for (DeviceWorker<D> device : source.get()) {
        if (device.id() == id) {
          return device;
        }
      }
      throw new IllegalArgumentException("no such device: " + id);
    }

    Collection<Integer> ids() {
      return ids(source.get(), device -> true);
    }

    /** Those that a request names in {@code parameter}, or all. */
    Collection<Integer> wanted(Query query, String parameter) {
      return wanted(query, parameter, source.get());
    }

    /** The same, of these devices. */
    Collection<Integer> wanted(Query query, String parameter, List<DeviceWorker<D>> devices) {
      return query.idsOrAll(parameter, ids(devices, device -> true), ids(devices, isOneOfAll));
    }

    private static <D> List<Integer> ids(List<DeviceWorker<D>> devices, Predicate<D> isWanted) {
      List<Integer> ids = new ArrayList<>(devices.size());
      for (DeviceWorker<D> device : devices) {
        if (isWanted.test(device.device())) {
          ids.add(device.id());
        }
      }
      return ids;
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
