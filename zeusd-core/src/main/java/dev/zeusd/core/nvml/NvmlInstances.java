package dev.zeusd.core.nvml;

import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.OfInstance;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.MigInstance;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import dev.zeusd.ffm.nvml.NvmlMig;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The instances of a GPU that may be partitioned (MIG). Of an instance only its memory is asked:
 * power, energy, clocks and temperatures are the whole GPU's, and the driver has no utilisation of
 * an instance. For one thread at a time.
 */
final class NvmlInstances {
  private final NvmlLibrary library;
  private final NvmlMig mig;

  /** As of the last look. */
  private volatile Optional<List<MigInstance>> known = Optional.empty();

  /** In which generation of the driver the GPU said that it cannot be partitioned; -1: in none. */
  private int cannotIn = -1;

  NvmlInstances(NvmlLibrary library, NvmlMig mig) {
    this.library = library;
    this.mig = mig;
  }

  /** Those of the last {@link #read}, without asking; from any thread. */
  Optional<List<MigInstance>> known() {
    return known;
  }

  /** Looks which there are, and how they are doing; empty if the GPU is not partitioned. */
  Optional<List<OfInstance>> read() throws NvmlException {
    Optional<List<OfInstance>> read =
        isPartitioned()
            ? Optional.of(mig.instances().stream().map(NvmlInstances::telemetry).toList())
            : Optional.empty();
    known = read.map(all -> all.stream().map(OfInstance::instance).toList());
    return read;
  }

  private boolean isPartitioned() throws NvmlException {
    int generation = library.generation();
    if (cannotIn == generation) {
      return false;
    }
    try {
      return mig.isEnabled();
    } catch (NvmlException e) {
      if (e.isLasting()) {
        cannotIn = generation;
        return false;
      }
      throw e;
    }
  }

  private static OfInstance telemetry(NvmlMig.Instance told) {
    Map<Reading, Long> readings = new EnumMap<>(Reading.class);
    told.memory()
        .ifPresent(
            memory -> {
              readings.put(Reading.MEMORY_USED_BYTES, memory.usedBytes());
              readings.put(Reading.MEMORY_TOTAL_BYTES, memory.totalBytes());
            });
    MigInstance instance =
        new MigInstance(
            told.index(), told.uuid(), told.name(), told.gpuInstanceId(), told.computeInstanceId());
    return new OfInstance(instance, new GpuTelemetry(readings, Optional.empty()));
  }
}
