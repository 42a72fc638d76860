package dev.zeusd.core.simulated;

import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.OfInstance;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.MigInstance;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a simulated GPU is partitioned into (MIG): two small instances, and a larger one. */
final class SimulatedInstances {
  private static final long GIB = 1L << 30;
  private static final List<Profile> PROFILES =
      List.of(
          new Profile("1g.10gb", 10, 9),
          new Profile("1g.10gb", 10, 10),
          new Profile("3g.40gb", 40, 1));

  private final List<MigInstance> instances = new ArrayList<>();

  private record Profile(String name, long gib, long gpuInstanceId) {}

  /** Those of a GPU of this name. */
  SimulatedInstances(int gpuId, String gpuName) {
    for (Profile profile : PROFILES) {
      int index = instances.size();
      instances.add(
          new MigInstance(
              index,
              Optional.of(String.format("MIG-51330000-0000-4000-8000-%010x%02x", gpuId, index)),
              Optional.of(gpuName + " MIG " + profile.name),
              Optional.of(profile.gpuInstanceId),
              Optional.of(0L)));
    }
  }

  List<MigInstance> all() {
    return List.copyOf(instances);
  }

  /** Their memory, of which most is used while the GPU has work; nothing else is an instance's. */
  List<OfInstance> telemetry(boolean isWorking) {
    return instances.stream()
        .map(
            instance -> {
              long totalBytes = PROFILES.get(instance.index()).gib * GIB;
              Map<Reading, Long> readings =
                  Map.of(
                      Reading.MEMORY_TOTAL_BYTES,
                      totalBytes,
                      Reading.MEMORY_USED_BYTES,
                      isWorking ? totalBytes * 3 / 4 : 0);
              return new OfInstance(instance, new GpuTelemetry(readings, Optional.empty()));
            })
        .toList();
  }
}
