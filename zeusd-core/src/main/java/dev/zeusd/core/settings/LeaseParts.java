package dev.zeusd.core.settings;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.DeviceWorker;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * What all parts of {@link Leases} work on.
 *
 * @param gpuList those that there are by now
 * @param table who has what, and what has to be put back
 * @param clocks what no driver tells
 * @param saved what outlives the process
 * @param baseline what settings are to be while nobody has them
 * @param nanoTime the clock of all times here
 * @param wake has somebody look what is due
 * @param observer is told what happens without a request
 */
record LeaseParts(
    Supplier<List<DeviceWorker<Gpu>>> gpuList,
    SettingTable table,
    LockedClocks clocks,
    SavedSettings saved,
    BaselineKeeper baseline,
    LongSupplier nanoTime,
    Runnable wake,
    LeaseObserver observer) {
  /** With nothing known yet. */
  static LeaseParts of(
      Supplier<List<DeviceWorker<Gpu>>> gpuList,
      Optional<Path> stateDir,
      Baseline baseline,
      LongSupplier nanoTime,
      Runnable wake,
      LeaseObserver observer) {
    SettingTable table = new SettingTable();
    LockedClocks clocks = new LockedClocks();
    SavedSettings saved = new SavedSettings(stateDir, table, clocks, nanoTime);
    BaselineKeeper keeper = new BaselineKeeper(gpuList, table, baseline);
    return new LeaseParts(gpuList, table, clocks, saved, keeper, nanoTime, wake, observer);
  }

  List<DeviceWorker<Gpu>> gpus() {
    return gpuList.get();
  }

  long now() {
    return nanoTime.getAsLong();
  }

  /** Settings in words, by the ids of their GPUs. */
  String describe(Collection<Setting> settings) {
    GpusByUuid gpus = new GpusByUuid(gpus());
    SortedMap<SettingKey, List<String>> byKey = new TreeMap<>();
    for (Setting setting : settings) {
      String uuid = setting.gpuUuid();
      byKey
          .computeIfAbsent(setting.key(), key -> new ArrayList<>())
          .add(gpus.find(uuid).map(gpu -> Integer.toString(gpu.id())).orElse(uuid));
    }
    List<String> texts = new ArrayList<>();
    byKey.forEach((key, gpu) -> texts.add(key.wireName() + " of GPU " + String.join(", ", gpu)));
    return String.join("; ", texts);
  }
}
