package dev.zeusd.core.settings;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The clocks that this daemon has locked: no driver tells. They are good until the driver is loaded
 * anew. Thread-safe.
 */
final class LockedClocks {
  private final Map<Setting, Known> bySetting = new ConcurrentHashMap<>();

  /** Something has changed since {@link #values} was called last. */
  private volatile boolean unsaved;

  private record Known(SettingValue value, int driverGeneration) {}

  /** After a value was set, on the GPU's thread; whether that is worth saving. */
  boolean remember(Gpu gpu, SettingValue value) {
    Optional<String> uuid = gpu.info().uuid();
    if (uuid.isEmpty() || !isClock(value.key())) {
      return false;
    }
    Known now = new Known(value, gpu.driverGeneration());
    Known before = bySetting.put(new Setting(uuid.get(), value.key()), now);
    boolean isNew = !now.equals(before);
    if (isNew) {
      // Never set to false here: another GPU's thread may just have something to save.
      unsaved = true;
    }
    return isNew;
  }

  private static boolean isClock(SettingKey key) {
    return key == SettingKey.GPU_CLOCKS || key == SettingKey.MEM_CLOCKS;
  }

  /** What a setting is: as the GPU tells it or, for clocks, as it must be. On its thread. */
  SettingValue valueOf(Setting setting, Gpu gpu) {
    return SettingValue.read(setting.key(), gpu).orElseGet(() -> clocksOf(setting, gpu));
  }

  private SettingValue clocksOf(Setting setting, Gpu gpu) {
    Known known = bySetting.get(setting);
    boolean isGood =
        known != null
            && (known.driverGeneration == gpu.driverGeneration()
                || known.driverGeneration == Change.UNKNOWN);
    return isGood ? known.value : SettingValue.driverDefault(setting.key(), gpu);
  }

  /** Forgets what drivers have forgotten; whether that was anything. */
  boolean forgetOutdated(List<DeviceWorker<Gpu>> gpus) {
    boolean forgotten = false;
    for (DeviceWorker<Gpu> gpu : gpus) {
      Optional<String> uuid = gpu.device().info().uuid();
      int generation = gpu.device().driverGeneration();
      forgotten |=
          bySetting
              .entrySet()
              .removeIf(
                  entry ->
                      uuid.equals(Optional.of(entry.getKey().gpuUuid()))
                          && entry.getValue().driverGeneration != generation
                          && entry.getValue().driverGeneration != Change.UNKNOWN);
    }
    return forgotten;
  }

  boolean isEmpty() {
    return bySetting.isEmpty();
  }

  // ---- Over the end of a process ----

  boolean isUnsaved() {
    return unsaved;
  }

  /** What there is now is saved, or is not to be. */
  void noteSaved() {
    unsaved = false;
  }

  /** All that are known, to be saved. */
  Map<Setting, SettingValue> values() {
    noteSaved();
    Map<Setting, SettingValue> values = new TreeMap<>();
    bySetting.forEach((setting, known) -> values.put(setting, known.value));
    return values;
  }

  /** What an earlier process has locked, if this one has not. */
  void recover(Setting setting, SettingValue value) {
    if (isClock(setting.key())) {
      bySetting.putIfAbsent(setting, new Known(value, Change.UNKNOWN));
    }
  }

  /** From now on, what was recovered for these GPUs is forgotten when their drivers forget. */
  void adopt(List<DeviceWorker<Gpu>> gpus) {
    for (DeviceWorker<Gpu> gpu : gpus) {
      Optional<String> uuid = gpu.device().info().uuid();
      bySetting.replaceAll(
          (setting, known) ->
              uuid.equals(Optional.of(setting.gpuUuid()))
                  ? new Known(known.value, gpu.device().driverGeneration())
                  : known);
    }
  }
}
