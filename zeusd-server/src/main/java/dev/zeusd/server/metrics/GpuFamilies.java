package dev.zeusd.server.metrics;

import static dev.zeusd.core.device.GpuTelemetry.Reading.*;

import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuTelemetry.OfInstance;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.MigInstance;
import dev.zeusd.core.device.ThrottleReason;
import io.prometheus.metrics.model.snapshots.Labels;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.LongToDoubleFunction;

/** The metrics of GPUs, by names of our own. */
final class GpuFamilies {
  private static final LongToDoubleFunction WATTS = mw -> mw / 1e3;
  private static final LongToDoubleFunction RATIO = percent -> percent / 1e2;
  private static final LongToDoubleFunction HERTZ = mhz -> mhz * 1e6;
  private static final LongToDoubleFunction AS_IT_IS = value -> value;

  private final List<GpuScrape> gpus;
  private final Families families;

  private GpuFamilies(List<GpuScrape> gpus, Families families) {
    this.gpus = gpus;
    this.families = families;
  }

  static void add(List<GpuScrape> gpus, Families families) {
    GpuFamilies all = new GpuFamilies(gpus, families);
    all.addAboutThem();
    all.addPowerAndEnergy();
    all.addTelemetry();
    all.addInstances();
  }

  private void addAboutThem() {
    families.gauge(
        "zeusd_gpu_up",
        "Whether the GPU answered this scrape within two seconds.",
        samples -> {
          for (GpuScrape gpu : gpus) {
            samples.add(gpu.labels().gpu(), gpu.readings().isPresent() ? 1 : 0);
          }
        });
    List<Labels> facts = new ArrayList<>();
    for (GpuScrape gpu : gpus) {
      facts.add(
          gpu.labels()
              .gpu()
              .merge(
                  Labels.of(
                      "name",
                      gpu.info().name(),
                      "vendor",
                      gpu.driver().map(GpuDriver::vendor).orElse(""),
                      "driver",
                      gpu.driver().map(GpuDriver::version).orElse(""),
                      "power_scope",
                      gpu.info().powerScope().wireName())));
    }
    families.info("zeusd_gpu", "What the GPU is.", facts);
  }

  private void addPowerAndEnergy() {
    families.gauge(
        "zeusd_gpu_power_watts",
        "Power that the GPU draws now.",
        read(
            (readings, to, samples) ->
                samples.add(to.gpu(), WATTS.applyAsDouble(readings.powerMw()))));
    families.counter(
        "zeusd_gpu_energy_joules",
        "Energy that the GPU has used since its driver was loaded.",
        read(
            (readings, to, samples) -> {
              if (readings.energyMj().isPresent()) {
                samples.add(to.gpu(), readings.energyMj().getAsDouble() / 1e3);
              }
            }));
    told("zeusd_gpu_power_limit_watts", "The power limit that was set.", POWER_LIMIT_MW, WATTS);
    told(
        "zeusd_gpu_enforced_power_limit_watts",
        "The power limit that holds, which may be lower than the one that was set.",
        ENFORCED_POWER_LIMIT_MW,
        WATTS);
    told(
        "zeusd_gpu_default_power_limit_watts",
        "The power limit that the driver sets by itself.",
        DEFAULT_POWER_LIMIT_MW,
        WATTS);
  }

  private void addTelemetry() {
    families.gauge(
        "zeusd_gpu_clock_hertz",
        "Clock of the multiprocessors (sm) or of the memory (mem) now.",
        read(
            (readings, to, samples) -> {
              add(samples, to.smClock(), readings, SM_CLOCK_MHZ, HERTZ);
              add(samples, to.memClock(), readings, MEM_CLOCK_MHZ, HERTZ);
            }));
    told("zeusd_gpu_temperature_celsius", "Temperature of the die.", TEMPERATURE_C, AS_IT_IS);
    told(
        "zeusd_gpu_memory_temperature_celsius",
        "Temperature of the memory.",
        MEMORY_TEMPERATURE_C,
        AS_IT_IS);
    told(
        "zeusd_gpu_utilization_ratio",
        "Part of the last second or less in which a kernel ran, 0 to 1.",
        GPU_UTILIZATION_PCT,
        RATIO);
    told(
        "zeusd_gpu_memory_utilization_ratio",
        "Part of the last second or less in which the memory was read or written, 0 to 1.",
        MEM_UTILIZATION_PCT,
        RATIO);
    told("zeusd_gpu_memory_used_bytes", "Memory that is allocated.", MEMORY_USED_BYTES, AS_IT_IS);
    told("zeusd_gpu_memory_total_bytes", "Memory that there is.", MEMORY_TOTAL_BYTES, AS_IT_IS);
    told(
        "zeusd_gpu_performance_state",
        "Performance state, from 0, the fastest, to 15.",
        PERFORMANCE_STATE,
        AS_IT_IS);
    families.gauge(
        "zeusd_gpu_throttled",
        "Whether this keeps the clocks from being higher.",
        read(GpuFamilies::addThrottled));
  }

  private static void addThrottled(
      GpuScrape.Readings readings, GpuLabels to, Families.Samples samples) {
    Optional<Set<ThrottleReason>> reasons = readings.telemetry().throttleReasons();
    if (reasons.isPresent()) {
      for (ThrottleReason reason : ThrottleReason.values()) {
        samples.add(to.reasons().get(reason), reasons.get().contains(reason) ? 1 : 0);
      }
    }
  }

  /**
   * Under names of their own: what an instance has is a part of what its GPU has, and whoever adds
   * up a GPU's metric must not count it twice.
   */
  private void addInstances() {
    List<Labels> facts = new ArrayList<>();
    for (GpuScrape gpu : gpus) {
      for (OfInstance each : instances(gpu)) {
        String name = each.instance().name().orElse("");
        facts.add(labels(gpu.labels(), each).merge(Labels.of("name", name)));
      }
    }
    families.info("zeusd_mig_instance", "An instance that the GPU is partitioned into.", facts);
    ofInstances(
        "zeusd_mig_instance_memory_used_bytes",
        "Memory of the instance that is allocated.",
        MEMORY_USED_BYTES);
    ofInstances(
        "zeusd_mig_instance_memory_total_bytes",
        "Memory that the instance has.",
        MEMORY_TOTAL_BYTES);
  }

  private void ofInstances(String name, String help, Reading reading) {
    families.gauge(
        name,
        help,
        samples -> {
          for (GpuScrape gpu : gpus) {
            for (OfInstance each : instances(gpu)) {
              each.telemetry()
                  .get(reading)
                  .ifPresent(value -> samples.add(labels(gpu.labels(), each), value));
            }
          }
        });
  }

  private static List<OfInstance> instances(GpuScrape gpu) {
    return gpu.readings().flatMap(it -> it.telemetry().migInstances()).orElse(List.of());
  }

  /** An instance whose UUID is not known is told from others by its ids or, at least, its index. */
  private static Labels labels(GpuLabels gpu, OfInstance each) {
    MigInstance instance = each.instance();
    return gpu.gpu()
        .merge(
            Labels.of(
                "mig_index",
                Integer.toString(instance.index()),
                "mig_uuid",
                instance.uuid().orElse(""),
                "gpu_instance_id",
                instance.gpuInstanceId().map(Object::toString).orElse(""),
                "compute_instance_id",
                instance.computeInstanceId().map(Object::toString).orElse("")));
  }

  private void told(String name, String help, Reading reading, LongToDoubleFunction unit) {
    families.gauge(
        name,
        help,
        read((readings, to, samples) -> add(samples, to.gpu(), readings, reading, unit)));
  }

  private static void add(
      Families.Samples samples,
      Labels labels,
      GpuScrape.Readings readings,
      Reading reading,
      LongToDoubleFunction unit) {
    readings
        .telemetry()
        .get(reading)
        .ifPresent(value -> samples.add(labels, unit.applyAsDouble(value)));
  }

  /** Makes samples of what was read from one GPU. */
  private interface OfOne {
    void addTo(GpuScrape.Readings readings, GpuLabels labels, Families.Samples samples);
  }

  private Consumer<Families.Samples> read(OfOne ofOne) {
    return samples -> {
      for (GpuScrape gpu : gpus) {
        gpu.readings().ifPresent(readings -> ofOne.addTo(readings, gpu.labels(), samples));
      }
    };
  }
}
