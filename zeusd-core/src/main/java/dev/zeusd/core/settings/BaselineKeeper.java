package dev.zeusd.core.settings;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.sampling.DeviceWorker;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Asks for a baseline's settings where GPUs are new, or their driver was loaded anew. */
final class BaselineKeeper {
  private final Baseline baseline;
  private final SettingTable table;

  /** The GPU's when a setting was last asked for. Touched by one thread. */
  private final Map<Setting, Integer> generations = new HashMap<>();

  BaselineKeeper(Baseline baseline, SettingTable table) {
    this.baseline = baseline;
    this.table = table;
  }

  /** Those that a lease holds come later. */
  void look(List<DeviceWorker<Gpu>> gpus) {
    for (DeviceWorker<Gpu> gpu : gpus) {
      Optional<String> uuid = gpu.device().info().uuid();
      int generation = gpu.device().driverGeneration();
      baseline
          .values()
          .forEach(
              (setting, value) -> {
                if (uuid.equals(Optional.of(setting.gpuUuid()))
                    && generations.getOrDefault(setting, Change.UNKNOWN) != generation
                    && table.locked(() -> ask(setting, value))) {
                  generations.put(setting, generation);
                }
              });
    }
  }

  private boolean ask(Setting setting, SettingValue value) {
    SettingState state = table.stateOf(setting);
    if (!state.isFree() || state.change.isPresent()) {
      return false;
    }
    state.change =
        Optional.of(new Change(value, Written.NOTHING, Change.UNKNOWN, Optional.empty()));
    state.failure = Optional.empty();
    table.changed(List.of());
    return true;
  }
}
