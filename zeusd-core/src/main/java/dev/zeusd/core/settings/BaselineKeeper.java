package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Asks for a baseline's settings where they are new, the GPUs are, or their driver was loaded anew.
 */
final class BaselineKeeper {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());

  private final Supplier<List<DeviceWorker<Gpu>>> gpus;
  private final SettingTable table;
  private volatile Baseline baseline;

  /** What was asked for last, since the baseline asks for it; guarded by this. */
  private final Map<Setting, Asked> asked = new HashMap<>();

  /** The one whose GPUs were looked for, to say which are not there; touched by one thread. */
  private Baseline checked = Baseline.none();

  private record Asked(GpuInfo gpu, SettingValue value, int driverGeneration) {
    private boolean isOf(Baseline baseline) {
      return baseline.of(gpu, value.key()).equals(Optional.of(value));
    }
  }

  BaselineKeeper(Supplier<List<DeviceWorker<Gpu>>> gpus, SettingTable table, Baseline baseline) {
    this.gpus = gpus;
    this.table = table;
    this.baseline = baseline;
  }

  /** From now on, this is what counts. What only the former one has asked for stays as it is. */
  synchronized void replace(Baseline other) {
    baseline = other;
    // Should it be asked for once more later, somebody may have set another value meanwhile.
    asked.values().removeIf(each -> !each.isOf(other));
  }

  boolean isEmpty() {
    return baseline.isEmpty();
  }

  /**
   * What a setting is to be, if it can be that: a limit out of the GPU's range is nothing to go
   * back to. On the GPU's thread.
   */
  Optional<SettingValue> of(Setting setting, Gpu gpu) {
    return baseline.of(gpu.info(), setting.key()).filter(value -> isPossible(value, gpu));
  }

  private static boolean isPossible(SettingValue value, Gpu gpu) {
    try {
      return switch (value) {
        case SettingValue.PowerLimit limit ->
            isWithin(gpu.powerLimitConstraints(), limit.powerLimitMw());
        case SettingValue.ModulePowerLimit limit ->
            isWithin(gpu.modulePowerLimitConstraints(), limit.powerLimitMw());
        case SettingValue.GpuClocks _, SettingValue.MemClocks _, SettingValue.PersistenceMode _ ->
            true;
      };
    } catch (DeviceException e) {
      // It does not tell, and may have it all the same.
      return true;
    }
  }

  private static boolean isWithin(PowerLimitConstraints range, long limitMw) {
    return limitMw >= range.minPowerLimitMw() && limitMw <= range.maxPowerLimitMw();
  }

  /** Has settings set that are not as they should be; those that a lease holds come later. */
  void look() {
    Baseline now = baseline;
    if (now.isEmpty()) {
      return;
    }
    List<DeviceWorker<Gpu>> present = gpus.get();
    if (now != checked && !present.isEmpty()) {
      checked = now;
      now.selectorsOfNone(present.stream().map(gpu -> gpu.device().info()).toList())
          .forEach(
              selector ->
                  LOG.log(
                      System.Logger.Level.WARNING,
                      "the baseline is about GPU {0}, which is not there",
                      selector));
    }
    present.forEach(gpu -> look(gpu.device()));
  }

  private synchronized void look(Gpu gpu) {
    GpuInfo info = gpu.info();
    int generation = gpu.driverGeneration();
    for (SettingKey key : SettingKey.values()) {
      Optional<SettingValue> value = baseline.of(info, key);
      if (value.isPresent() && info.uuid().isPresent()) {
        Setting setting = new Setting(info.uuid().get(), key);
        Asked ask = new Asked(info, value.get(), generation);
        if (!ask.equals(asked.get(setting)) && table.locked(() -> ask(setting, value.get()))) {
          asked.put(setting, ask);
        }
      }
    }
  }

  private boolean ask(Setting setting, SettingValue value) {
    SettingState state = table.stateOf(setting);
    if (!state.isFree() || state.leasedChange().isPresent()) {
      return false;
    }
    state.settled();
    state.change =
        Optional.of(new Change(value, Written.NOTHING, Change.UNKNOWN, Optional.empty()));
    table.changed(List.of());
    return true;
  }
}
