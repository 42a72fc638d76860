package dev.zeusd.server.metrics;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.settings.GpusByUuid;
import dev.zeusd.core.settings.LeaseInfo;
import dev.zeusd.core.settings.LeaseState;
import dev.zeusd.core.settings.Setting;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.ReadTimes;
import dev.zeusd.server.ApiGroup;
import io.prometheus.metrics.model.snapshots.Labels;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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

  /** What the power that is kept takes, where it is. */
  static void addPowerHistory(Node node, Families families) {
    families.gauge(
        "zeusd_power_history_bytes",
        "Memory for the power that is kept.",
        samples -> {
          if (node.gpuPowerHistory().isPresent()) {
            samples.add(Labels.of("kind", "gpu"), node.gpuPowerHistory().get().bytes());
          }
          if (node.cpuPowerHistory().isPresent()) {
            samples.add(Labels.of("kind", "cpu"), node.cpuPowerHistory().get().bytes());
          }
        });
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

  /** What is said of leases: only of GPUs that whoever asks may read or change. */
  static void addLeases(Node node, Metrics.Question question, Families families) {
    LeaseCounts counts = LeaseCounts.of(node, question);
    families.gauge(
        "zeusd_leases",
        "Leases that hold settings.",
        samples ->
            counts.byState.forEach(
                (state, count) -> samples.add(Labels.of("state", state.wireName()), count)));
    families.gauge(
        "zeusd_restores_pending",
        "Settings that could not be put back so far.",
        samples -> samples.add(Labels.EMPTY, counts.pendingSettings));
    if (question.groups().contains(ApiGroup.GPU_CONTROL)) {
      families.info(
          "zeusd_setting_lease",
          "A setting of a GPU, and who holds it.",
          List.copyOf(counts.holders));
    }
  }

  /** What there is to say of leases. */
  private static final class LeaseCounts {
    final Map<LeaseState, Integer> byState = new EnumMap<>(LeaseState.class);
    int pendingSettings;

    /**
     * Whoever may change a setting may know who keeps them from it: a refused write says so, too.
     */
    final Set<Labels> holders = new LinkedHashSet<>();

    static LeaseCounts of(Node node, Metrics.Question question) {
      LeaseCounts counts = new LeaseCounts();
      for (LeaseState state : LeaseState.values()) {
        counts.byState.put(state, 0);
      }
      GpusByUuid gpus = new GpusByUuid(node.gpus());
      node.leases().list().forEach(lease -> counts.add(lease, gpus, question));
      counts.byState.remove(LeaseState.PENDING);
      return counts;
    }

    private void add(LeaseInfo lease, GpusByUuid gpus, Metrics.Question question) {
      int visible = 0;
      for (Setting setting : lease.settings()) {
        Optional<GpuInfo> gpu = gpus.find(setting.gpuUuid()).map(found -> found.device().info());
        boolean mayChange = question.covers(ApiGroup.GPU_CONTROL, gpu);
        visible += mayChange || question.covers(ApiGroup.GPU_READ, gpu) ? 1 : 0;
        if (mayChange && gpu.isPresent()) {
          holders.add(labels(gpu.get(), setting, lease));
        }
      }
      byState.merge(lease.state(), visible > 0 ? 1 : 0, Integer::sum);
      pendingSettings += lease.state() == LeaseState.PENDING ? visible : 0;
    }

    private static Labels labels(GpuInfo gpu, Setting setting, LeaseInfo lease) {
      return GpuLabels.of(gpu)
          .gpu()
          .add("key", setting.key().wireName())
          .add("holder", lease.holder())
          .add("state", lease.state().wireName());
    }
  }
}
