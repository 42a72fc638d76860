package dev.zeusd.server.http;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Rights;
import io.helidon.http.HttpException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * One call on several devices, side by side, and what came of it.
 *
 * <p>The calling thread starts them one after the other, and a device that is idle and quick is
 * asked right then. Should one of these hang, {@link #startRest} starts those that are left, from
 * another thread, and {@link #outcome} tells what has come of all.
 *
 * @param <T> what a device answers
 */
public final class FanOut<T> {
  /** How often to look whether a call that hangs at its beginning has come back. */
  private static final long LOOK_NANOS = 20_000_000;

  private final List<Integer> ids;
  private final IntFunction<CompletableFuture<T>> call;
  private final long deadlineNanos = System.nanoTime() + Answer.PATIENCE.toNanos();

  /** By place in {@link #ids}; null where a call has not begun, or hangs at its beginning. */
  private final AtomicReferenceArray<CompletableFuture<T>> started;

  /** The place of the device that is asked next. */
  private final AtomicInteger next = new AtomicInteger();

  /** Nothing is called yet. */
  FanOut(Collection<Integer> ids, IntFunction<CompletableFuture<T>> call) {
    this.ids = List.copyOf(ids);
    this.call = call;
    this.started = new AtomicReferenceArray<>(this.ids.size());
  }

  /** Devices as requests name them, by ascending id; those that are there by now. */
  public static final class ById<D> {
    private final Supplier<List<DeviceWorker<D>>> source;
    private final Predicate<D> isOneOfAll;
    private final ApiGroup readGroup;
    private final Function<D, Optional<GpuInfo>> gpuInfo;

    /**
     * Of a node.
     *
     * @param isOneOfAll whether a device is meant where a request names none
     * @param readGroup of the endpoints that read them
     * @param gpuInfo by which grants may tell one from others; empty for what is no GPU
     */
    private ById(
        Supplier<List<DeviceWorker<D>>> source,
        Predicate<D> isOneOfAll,
        ApiGroup readGroup,
        Function<D, Optional<GpuInfo>> gpuInfo) {
      this.source = source;
      this.isOneOfAll = isOneOfAll;
      this.readGroup = readGroup;
      this.gpuInfo = gpuInfo;
    }

    /** The GPUs of {@code node}. */
    public static ById<Gpu> gpus(Node node) {
      return new ById<>(node::gpus, gpu -> true, ApiGroup.GPU_READ, gpu -> Optional.of(gpu.info()));
    }

    /** The CPUs; a zone that holds others is not one of all. */
    public static ById<Cpu> cpus(Node node) {
      return new ById<>(
          node::cpus,
          cpu -> cpu.info().domain() == CpuInfo.Domain.PACKAGE,
          ApiGroup.CPU_READ,
          cpu -> Optional.empty());
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

    /**
     * Those that a request names in {@code parameter}, to be read; or all that its sender may read.
     *
     * @throws HttpException 403 for one that may not be read, or if none may be
     */
    Collection<Integer> wanted(Query query, String parameter, Requester requester) {
      return wanted(query, parameter, source.get(), requester);
    }

    /** The same, of these devices. */
    public Collection<Integer> wanted(
        Query query, String parameter, List<DeviceWorker<D>> devices, Requester requester) {
      Collection<Integer> wanted =
          query.idsOrAll(parameter, ids(devices, device -> true), ids(devices, isOneOfAll));
      Rights rights = requester.rights();
      if (rights.isUnlimited()) {
        return wanted;
      }
      Collection<Integer> allowed = new ArrayList<>(wanted);
      gpuInfos(devices, wanted).stream()
          .filter(gpu -> !rights.covers(readGroup, gpu))
          .forEach(gpu -> allowed.remove((Integer) gpu.id()));
      if (allowed.size() < wanted.size()
          && (allowed.isEmpty() || query.optional(parameter).isPresent())) {
        requester.require(readGroup, gpuInfos(devices, wanted));
      }
      return allowed;
    }

    /** What a lasting answer with the readings of these devices needs. */
    public Predicate<Rights> needed(Collection<Integer> ids) {
      return rights ->
          rights.refusalOf(readGroup).isEmpty()
              && rights.refusalOf(readGroup, gpuInfos(source.get(), ids)).isEmpty();
    }

    /** What grants may tell those of these devices by that are GPUs. */
    List<GpuInfo> gpuInfos(Collection<Integer> ids) {
      return gpuInfos(source.get(), ids);
    }

    private List<GpuInfo> gpuInfos(List<DeviceWorker<D>> devices, Collection<Integer> ids) {
      return devices.stream()
          .filter(device -> ids.contains(device.id()))
          .flatMap(device -> gpuInfo.apply(device.device()).stream())
          .toList();
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
    return new FanOut<>(ids, call).run();
  }

  /** Starts the call for every id, then waits for all, together no longer than for one. */
  Outcome<T> run() {
    for (int place = next.getAndIncrement(); place < ids.size(); place = next.getAndIncrement()) {
      start(place);
    }
    return outcome(deadlineNanos);
  }

  private void start(int place) {
    CompletableFuture<T> running;
    try {
      running = call.apply(ids.get(place));
    } catch (DeviceException e) {
      running = CompletableFuture.failedFuture(e);
    }
    started.set(place, running);
  }

  /** Whether one of the calls that were begun has not come back from its beginning. */
  boolean isHeldUp() {
    int begun = Math.min(next.get(), ids.size());
    for (int place = 0; place < begun; place++) {
      if (started.get(place) == null) {
        return true;
      }
    }
    return false;
  }

  /** Starts the calls that wait behind one that holds up {@link #run}. */
  void startRest() {
    for (int place = next.getAndIncrement(); place < ids.size(); place = next.getAndIncrement()) {
      int each = place;
      // Each on its own: the next one may hang, too.
      Thread.ofVirtual().start(() -> start(each));
    }
  }

  /**
   * Waits for all calls, but not beyond the time of one, nor beyond {@code latestNanos}, as {@link
   * System#nanoTime} has it.
   */
  Outcome<T> outcome(long latestNanos) {
    long deadline = latestNanos - deadlineNanos < 0 ? latestNanos : deadlineNanos;
    SortedMap<Integer, T> values = new TreeMap<>();
    Map<Integer, DeviceException> failures = new TreeMap<>();
    for (int place = 0; place < ids.size(); place++) {
      try {
        values.put(ids.get(place), Answer.await(awaitStart(place, deadline), deadline));
      } catch (DeviceException e) {
        failures.put(ids.get(place), e);
      }
    }
    return new Outcome<>(values, failures);
  }

  private CompletableFuture<T> awaitStart(int place, long deadline) {
    CompletableFuture<T> running = started.get(place);
    while (running == null && System.nanoTime() - deadline < 0) {
      LockSupport.parkNanos(LOOK_NANOS);
      running = started.get(place);
    }
    return running == null ? CompletableFuture.failedFuture(Answer.missing()) : running;
  }
}
