package dev.zeusd.core.settings;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * GPUs by what their settings are known by. Those that have not told their UUID are not among them.
 * Immutable, thread-safe.
 */
public final class GpusByUuid {
  private final Map<String, DeviceWorker<Gpu>> gpus = new HashMap<>();

  /**
   * Of these, as far as they have told by now.
   *
   * @param all the GPUs that there are
   */
  public GpusByUuid(Collection<DeviceWorker<Gpu>> all) {
    for (DeviceWorker<Gpu> gpu : all) {
      gpu.device().info().uuid().ifPresent(uuid -> gpus.putIfAbsent(uuid, gpu));
    }
  }

  /**
   * {@return the one with this UUID; empty if it is not there}
   *
   * @param uuid as the driver tells it
   */
  public Optional<DeviceWorker<Gpu>> find(String uuid) {
    return Optional.ofNullable(gpus.get(uuid));
  }
}
