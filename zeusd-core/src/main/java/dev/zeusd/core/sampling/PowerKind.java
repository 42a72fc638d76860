package dev.zeusd.core.sampling;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;

/**
 * What a {@link PowerSampler} asks its devices for.
 *
 * @param name of the devices, for people
 * @param readers makes one that has read nothing yet
 * @param isDifference whether power is the difference of two reads
 * @param ofScope the same of one scope and no other; throws where there is none
 */
record PowerKind<D, S extends PowerSample>(
    String name,
    Supplier<PowerReader<D, S>> readers,
    boolean isDifference,
    Function<PowerScope, PowerKind<D, S>> ofScope) {

  /** Whatever GPUs tell first. */
  static PowerKind<Gpu, GpuPowerSample> ofGpus() {
    return ofGpus(
        Gpu::powerMw, scope -> ofGpus(gpu -> gpu.powerMwOf(scope), PowerKind::withoutScopes));
  }

  private static PowerKind<Gpu, GpuPowerSample> ofGpus(
      ToLongFunction<Gpu> ask, Function<PowerScope, PowerKind<Gpu, GpuPowerSample>> ofScope) {
    PowerReader<Gpu, GpuPowerSample> reader =
        (gpu, timestampMs) -> {
          long powerMw = ask.applyAsLong(gpu);
          return new GpuPowerSample(timestampMs.getAsLong(), gpu.info().id(), powerMw);
        };
    return new PowerKind<>("GPU", () -> reader, false, ofScope);
  }

  /** What the counters of CPU packages show from one read to another. */
  static PowerKind<Cpu, CpuPowerSample> ofCpus() {
    ConcurrentMap<Integer, FailureLog> dramFailures = new ConcurrentHashMap<>();
    return new PowerKind<>(
        "CPU", () -> new CpuPowerReader(dramFailures), true, PowerKind::withoutScopes);
  }

  private static <T> T withoutScopes(PowerScope scope) {
    throw new UnsupportedOperationException("power of CPUs, or of a scope, has none");
  }
}
