package dev.zeusd.server.metrics;

import dev.zeusd.core.Node;
import dev.zeusd.core.settings.GpusByUuid;
import dev.zeusd.core.settings.LeaseInfo;
import dev.zeusd.core.settings.LeaseState;
import dev.zeusd.core.settings.Setting;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.ReadTimes;
import io.prometheus.metrics.model.snapshots.Labels;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The metrics of the daemon itself. */
final class DaemonFamilies {
  private static final double NANOS_PER_SECOND = 1e9;

  private DaemonFamilies() {}

  static void addBuild(Families families) {
    Package build = DaemonFamilies.class.getPackage();
    String version = build.getImplementationVersion();
    families.info(
        "zeusd_build",
        "What is running.",
        List.of(
            Labels.of(
                "version",
                version == null ? "unknown" : version,
                "java",
                Runtime.version().toString())));
  }

  static void addRequests(RequestCounters requests, int openStreams, Families families) {
    families.counter(
        "zeusd_requests",
        "Requests that were answered; a stream counts when it has ended.",
        samples ->
            requests.visit(
                (endpoint, status, count) ->
                    samples.add(Labels.of("endpoint", endpoint, "status", status), count)));
    families.gauge(
        "zeusd_streams_open",
        "Answers that last: streams, and requests that wait for a lease.",
        samples -> samples.add(Labels.EMPTY, openStreams));
  }

  /** How long the reads of a device have taken. */
  record ReadTimesOf(String kind, int id, ReadTimes.Totals totals) {
    static ReadTimesOf of(String kind, DeviceWorker<?> device) {
      return new ReadTimesOf(kind, device.id(), device.readTimes().totals());
    }

    private Labels labels() {
      return Labels.of("kind", kind, "id", Integer.toString(id));
    }
  }

  static void addReadTimes(List<ReadTimesOf> devices, Families families) {
    families.durations(
        "zeusd_device_read_seconds",
        "How often the device was read, and how long that took together.",
        samples ->
            devices.forEach(
                it ->
                    samples.add(
                        it.labels(),
                        it.totals.reads(),
                        it.totals.totalNanos() / NANOS_PER_SECOND)));
    families.counter(
        "zeusd_device_read_failures",
        "Reads that failed, but for what the device does not support at all.",
        samples -> devices.forEach(it -> samples.add(it.labels(), it.totals.failures())));
  }

  static void addLeases(Node node, boolean withHolders, Families families) {
    Map<LeaseState, Integer> byState = new EnumMap<>(LeaseState.class);
    for (LeaseState state : LeaseState.values()) {
      byState.put(state, 0);
    }
    int pendingSettings = 0;
    List<LeaseInfo> leases = node.leases().list();
    for (LeaseInfo lease : leases) {
      byState.merge(lease.state(), 1, Integer::sum);
      pendingSettings += lease.state() == LeaseState.PENDING ? lease.settings().size() : 0;
    }
    byState.remove(LeaseState.PENDING);
    int pending = pendingSettings;
    families.gauge(
        "zeusd_leases",
        "Leases that hold settings.",
        samples ->
            byState.forEach(
                (state, count) -> samples.add(Labels.of("state", state.wireName()), count)));
    families.gauge(
        "zeusd_restores_pending",
        "Settings that could not be put back so far.",
        samples -> samples.add(Labels.EMPTY, pending));
    if (withHolders) {
      families.info(
          "zeusd_setting_lease", "A setting of a GPU, and who holds it.", holders(node, leases));
    }
  }

  /** Whoever may change settings may know who keeps them from it: a refused write says so, too. */
  private static List<Labels> holders(Node node, List<LeaseInfo> leases) {
    GpusByUuid gpus = new GpusByUuid(node.gpus());
    Set<Labels> facts = new LinkedHashSet<>();
    for (LeaseInfo lease : leases) {
      for (Setting setting : lease.settings()) {
        gpus.find(setting.gpuUuid())
            .map(gpu -> GpuLabels.of(gpu.device().info()).gpu())
            .ifPresent(
                labels ->
                    facts.add(
                        labels
                            .add("key", setting.key().wireName())
                            .add("holder", lease.holder())
                            .add("state", lease.state().wireName())));
      }
    }
    return List.copyOf(facts);
  }
}
