package dev.zeusd.server.metrics;

import static dev.zeusd.core.device.GpuTelemetry.Reading.*;

import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.OfInstance;
import dev.zeusd.core.device.MigInstance;
import io.prometheus.metrics.model.snapshots.Labels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.function.Function;

/**
 * The metrics of GPUs by the names, units and labels of NVIDIA's DCGM exporter: those that
 * dashboards made for it ask for, as far as NVML tells them.
 */
final class DcgmFamilies {
  private static final double BYTES_PER_MIB = 1 << 20;

  private final List<GpuScrape> gpus;
  private final List<Labels> labels;
  private final Families families;

  private DcgmFamilies(List<GpuScrape> gpus, Families families) {
    this.gpus = gpus;
    this.families = families;
    String host = hostName();
    this.labels = gpus.stream().map(gpu -> labels(gpu, host)).toList();
  }

  private static String hostName() {
    try {
      return Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    } catch (IOException e) {
      return "";
    }
  }

  private static Labels labels(GpuScrape gpu, String host) {
    GpuInfo info = gpu.info();
    return Labels.of(
        "gpu",
        Integer.toString(info.id()),
        "UUID",
        info.uuid().orElse(""),
        "pci_bus_id",
        info.pciAddress().map(DcgmFamilies::pciBusId).orElse(""),
        "device",
        "nvidia" + info.id(),
        "modelName",
        info.name(),
        "Hostname",
        host,
        "DCGM_FI_DRIVER_VERSION",
        gpu.driver().map(GpuDriver::version).orElse(""));
  }

  /** With a domain of eight digits, in upper case. */
  private static String pciBusId(String address) {
    String eightDigits = "0".repeat(Math.max(0, 8 - address.indexOf(':'))) + address;
    return eightDigits.toUpperCase(Locale.ROOT);
  }

  static void add(List<GpuScrape> gpus, Families families) {
    DcgmFamilies all = new DcgmFamilies(gpus, families);
    all.gauge(
        "DCGM_FI_DEV_POWER_USAGE",
        "Power draw (in W).",
        readings -> OptionalDouble.of(readings.powerMw() / 1e3));
    all.families.untyped(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "Energy since the driver was loaded (in mJ).",
        samples -> all.forEach(GpuScrape.Readings::energyMj, samples));
    all.told("DCGM_FI_DEV_SM_CLOCK", "Clock of the multiprocessors (in MHz).", SM_CLOCK_MHZ);
    all.told("DCGM_FI_DEV_MEM_CLOCK", "Clock of the memory (in MHz).", MEM_CLOCK_MHZ);
    all.told("DCGM_FI_DEV_GPU_TEMP", "Temperature of the GPU (in C).", TEMPERATURE_C);
    all.told("DCGM_FI_DEV_MEMORY_TEMP", "Temperature of the memory (in C).", MEMORY_TEMPERATURE_C);
    all.told("DCGM_FI_DEV_GPU_UTIL", "Utilisation of the GPU (in %).", GPU_UTILIZATION_PCT);
    all.told("DCGM_FI_DEV_MEM_COPY_UTIL", "Utilisation of the memory (in %).", MEM_UTILIZATION_PCT);
    all.memory(
        "DCGM_FI_DEV_FB_USED",
        "Memory that is used (in MiB).",
        telemetry -> toDouble(telemetry.get(MEMORY_USED_BYTES), BYTES_PER_MIB));
    all.memory("DCGM_FI_DEV_FB_FREE", "Memory that is free (in MiB).", DcgmFamilies::freeMib);
    all.gauge(
        "DCGM_FI_DEV_POWER_MGMT_LIMIT",
        "The power limit that was set (in W).",
        readings -> toDouble(readings.telemetry().get(POWER_LIMIT_MW), 1e3));
  }

  private static OptionalDouble freeMib(GpuTelemetry telemetry) {
    OptionalLong used = telemetry.get(MEMORY_USED_BYTES);
    OptionalLong total = telemetry.get(MEMORY_TOTAL_BYTES);
    return used.isPresent() && total.isPresent()
        ? OptionalDouble.of((total.getAsLong() - used.getAsLong()) / BYTES_PER_MIB)
        : OptionalDouble.empty();
  }

  private static OptionalDouble toDouble(OptionalLong value, double divisor) {
    return value.isPresent()
        ? OptionalDouble.of(value.getAsLong() / divisor)
        : OptionalDouble.empty();
  }

  /** Of a partitioned GPU (MIG), that of its instances: its own would count it once more. */
  private void memory(String name, String help, Function<GpuTelemetry, OptionalDouble> mib) {
    families.gauge(
        name,
        help,
        samples -> {
          for (int i = 0; i < gpus.size(); i++) {
            Labels its = labels.get(i);
            gpus.get(i)
                .readings()
                .ifPresent(readings -> addMemory(readings.telemetry(), its, mib, samples));
          }
        });
  }

  private static void addMemory(
      GpuTelemetry whole,
      Labels labels,
      Function<GpuTelemetry, OptionalDouble> mib,
      Families.Samples samples) {
    Map<Labels, GpuTelemetry> parts = new LinkedHashMap<>();
    for (OfInstance each : whole.migInstances().orElse(List.of())) {
      // Several compute instances share the memory of their GPU instance, and have it only once.
      instanceLabels(each.instance())
          .ifPresent(its -> parts.putIfAbsent(labels.merge(its), each.telemetry()));
    }
    if (parts.isEmpty()) {
      parts.put(labels, whole);
    }
    parts.forEach(
        (its, telemetry) -> mib.apply(telemetry).ifPresent(number -> samples.add(its, number)));
  }

  /** The profile is the end of the name: {@code ... MIG 1g.10gb}, or {@code ... MIG 1c.3g.40gb}. */
  private static Optional<Labels> instanceLabels(MigInstance instance) {
    String profile = instance.name().orElse("").replaceFirst("^(.* )?MIG (\\d+c\\.)?", "");
    return instance
        .gpuInstanceId()
        .map(id -> Labels.of("GPU_I_ID", Long.toString(id), "GPU_I_PROFILE", profile));
  }

  private void told(String name, String help, GpuTelemetry.Reading reading) {
    gauge(name, help, readings -> toDouble(readings.telemetry().get(reading), 1));
  }

  private void gauge(String name, String help, Function<GpuScrape.Readings, OptionalDouble> value) {
    families.gauge(name, help, samples -> forEach(value, samples));
  }

  private void forEach(
      Function<GpuScrape.Readings, OptionalDouble> value, Families.Samples samples) {
    for (int i = 0; i < gpus.size(); i++) {
      Labels its = labels.get(i);
      gpus.get(i)
          .readings()
          .map(value)
          .ifPresent(told -> told.ifPresent(number -> samples.add(its, number)));
    }
  }
}
