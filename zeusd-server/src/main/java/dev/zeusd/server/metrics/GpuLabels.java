package dev.zeusd.server.metrics;

import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.ThrottleReason;
import io.prometheus.metrics.model.snapshots.Labels;
import java.util.EnumMap;
import java.util.Map;

/**
 * The labels of a GPU's samples.
 *
 * @param gpu those that all have
 * @param smClock with the domain of the multiprocessors
 * @param memClock with the domain of the memory
 * @param reasons with each reason
 */
record GpuLabels(Labels gpu, Labels smClock, Labels memClock, Map<ThrottleReason, Labels> reasons) {
  /** An empty label is no label. */
  static GpuLabels of(GpuInfo info) {
    Labels gpu =
        Labels.of(
            "gpu",
            Integer.toString(info.id()),
            "gpu_uuid",
            info.uuid().orElse(""),
            "pci_bus_id",
            info.pciAddress().orElse(""));
    Map<ThrottleReason, Labels> reasons = new EnumMap<>(ThrottleReason.class);
    for (ThrottleReason reason : ThrottleReason.values()) {
      reasons.put(reason, gpu.add("reason", reason.wireName()));
    }
    return new GpuLabels(gpu, gpu.add("domain", "sm"), gpu.add("domain", "mem"), reasons);
  }
}
