package dev.zeusd.core.settings;

import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuSelector;
import java.util.List;
import java.util.Optional;

/**
 * What settings of GPUs are to be when nobody has a lease of them: they are set when the GPUs are
 * found and after their driver was loaded anew, and leases go back to them.
 *
 * @param entries of several that say something about one setting of a GPU, the last one counts
 */
public record Baseline(List<Entry> entries) {
  /** Takes a copy. */
  public Baseline {
    entries = List.copyOf(entries);
  }

  /**
   * Settings of some GPUs.
   *
   * @param gpus which; all, if empty
   * @param values what to set; of settings that are not among them, nothing is said
   */
  public record Entry(List<GpuSelector> gpus, List<SettingValue> values) {
    /** Takes copies. */
    public Entry {
      gpus = List.copyOf(gpus);
      values = List.copyOf(values);
    }

    private boolean isOf(GpuInfo gpu) {
      return gpus.isEmpty() || gpus.stream().anyMatch(each -> each.matches(gpu));
    }
  }

  /**
   * Nothing is asked for.
   *
   * @return a baseline that asks for nothing
   */
  public static Baseline none() {
    return new Baseline(List.of());
  }

  /** What this setting of a GPU is to be. */
  Optional<SettingValue> of(GpuInfo gpu, SettingKey key) {
    return entries.stream()
        .filter(entry -> entry.isOf(gpu))
        .flatMap(entry -> entry.values.stream())
        .filter(value -> value.key() == key)
        .reduce((earlier, later) -> later);
  }

  /** What it names in place of one of these GPUs. */
  List<GpuSelector> selectorsOfNone(List<GpuInfo> gpus) {
    return entries.stream()
        .flatMap(entry -> entry.gpus.stream())
        .filter(each -> gpus.stream().noneMatch(each::matches))
        .distinct()
        .toList();
  }

  boolean isEmpty() {
    return entries.isEmpty();
  }
}
