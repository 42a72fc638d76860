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
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.Supplier;

/** Devices as requests name them, by ascending id; those that are there by now. */
public final class DevicesById<D> {
  /** How long to wait for a device to say that it cannot do something. */
  private static final Duration SUPPORTED_WAIT = Duration.ofSeconds(1);

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
  private DevicesById(
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
  public static DevicesById<Gpu> gpus(Node node) {
    return new DevicesById<>(
        node::gpus, gpu -> true, ApiGroup.GPU_READ, gpu -> Optional.of(gpu.info()));
  }

  /** The CPUs; a zone that holds others is not one of all. */
  public static DevicesById<Cpu> cpus(Node node) {
    return new DevicesById<>(
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

  /**
   * Refuses what one of these devices cannot tell at all, as a single read would; what fails in any
   * other way, or takes its time, may work later.
   *
   * @param read the same object for all who ask, so that they share it
   * @throws DeviceErrors naming all that cannot
   */
  public void requireSupported(Collection<Integer> ids, Function<? super D, ?> read) {
    long deadlineNanos = System.nanoTime() + SUPPORTED_WAIT.toNanos();
    Map<Integer, CompletableFuture<?>> reads = new TreeMap<>();
    Map<Integer, DeviceException> refusals = new TreeMap<>();
    for (int id : ids) {
      try {
        // On the device's thread, since this one is not watched.
        reads.put(id, get(id).share(read));
      } catch (DeviceException e) {
        continue;
      }
    }
    reads.forEach(
        (id, reading) -> {
          try {
            // Of a copy, since others may wait for the same for longer.
            Answer.await(reading.copy(), deadlineNanos);
          } catch (DeviceException.NotSupported e) {
            refusals.put(id, e);
          } catch (DeviceException e) {
            // It may work later.
          }
        });
    if (!refusals.isEmpty()) {
      throw new DeviceErrors(refusals, Optional.empty());
    }
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
