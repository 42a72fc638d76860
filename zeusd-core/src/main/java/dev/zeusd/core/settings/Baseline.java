package dev.zeusd.core.settings;

import dev.zeusd.core.device.GpuInfo;
import java.util.List;
import java.util.Optional;
import java.util.Set;

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
   * @param gpus their ids, in decimal, or UUIDs; empty for all GPUs
   * @param values what to set; of settings that are not among them, nothing is said
   */
  public record Entry(Optional<Set<String>> gpus, List<SettingValue> values) {
    /** Takes copies. */
    public Entry {
      gpus = gpus.map(Set::copyOf);
      values = List.copyOf(values);
    }

    private boolean isOf(GpuInfo gpu) {
      return gpus.isEmpty() || gpus.get().stream().anyMatch(name -> isNameOf(name, gpu));
    }

    private static boolean isNameOf(String name, GpuInfo gpu) {
      return name.equals(Integer.toString(gpu.id())) || gpu.uuid().equals(Optional.of(name));
    }
  }

  /** Nothing is asked for. */
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

  /** The ids and UUIDs in it that none of these GPUs has. */
  List<String> namesOfNone(List<GpuInfo> gpus) {
    return entries.stream()
        .flatMap(entry -> entry.gpus.stream())
        .flatMap(Set::stream)
        .filter(name -> gpus.stream().noneMatch(gpu -> Entry.isNameOf(name, gpu)))
        .distinct()
        .sorted()
        .toList();
  }

  boolean isEmpty() {
    return entries.isEmpty();
  }
}
