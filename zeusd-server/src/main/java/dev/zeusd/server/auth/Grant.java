package dev.zeusd.server.auth;

import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuSelector;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.core.settings.SettingValue.ClockRange;
import dev.zeusd.server.ApiGroup;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * What somebody may do. What is not named is not bounded.
 *
 * @param who whom it is for, any of them
 * @param groups which endpoints
 * @param leaseAdmin whether everybody's leases are theirs to see and to end
 * @param gpus which GPUs; all, if empty
 * @param settingKeys what of a GPU may be changed
 * @param bounds within which range; power limits in mW, clocks in MHz
 */
public record Grant(
    List<Who> who,
    Set<ApiGroup> groups,
    boolean leaseAdmin,
    List<GpuSelector> gpus,
    Set<SettingKey> settingKeys,
    Map<SettingKey, Range> bounds) {
  /**
   * From {@code min} to {@code max}, both included.
   *
   * @param min the lowest value, in the setting's unit: mW or MHz
   * @param max the highest value
   */
  public record Range(long min, long max) {
    /** Checks the order. */
    public Range {
      if (min > max) {
        throw new IllegalArgumentException(min + " is above " + max);
      }
    }

    boolean contains(long value) {
      return min <= value && value <= max;
    }
  }

  /**
   * Takes copies. The limit of a module, which holds its GPU down as well, is not among the
   * settings where only the GPU's is bounded: that bound would be none.
   */
  public Grant {
    who = List.copyOf(who);
    groups = Set.copyOf(groups);
    gpus = List.copyOf(gpus);
    bounds = Map.copyOf(bounds);
    boolean boundsGpuOnly =
        bounds.containsKey(SettingKey.POWER_LIMIT)
            && !bounds.containsKey(SettingKey.MODULE_POWER_LIMIT);
    settingKeys =
        settingKeys.stream()
            .filter(key -> key != SettingKey.MODULE_POWER_LIMIT || !boundsGpuOnly)
            .collect(Collectors.toUnmodifiableSet());
  }

  /**
   * {@return whether it is for this caller}
   *
   * @param caller who asks
   */
  public boolean isFor(Caller caller) {
    return who.stream().anyMatch(each -> each.includes(caller));
  }

  boolean coversAllGpus() {
    return gpus.isEmpty();
  }

  boolean covers(GpuInfo gpu) {
    return gpus.isEmpty() || gpus.stream().anyMatch(each -> each.matches(gpu));
  }

  /** Whether it lets a GPU, which it covers, be set to this. */
  boolean allows(SettingValue value) {
    Range bound = bounds.get(value.key());
    return settingKeys.contains(value.key()) && (bound == null || isWithin(bound, value));
  }

  private static boolean isWithin(Range bound, SettingValue value) {
    return switch (value) {
      case SettingValue.PowerLimit limit -> bound.contains(limit.powerLimitMw());
      case SettingValue.ModulePowerLimit limit -> bound.contains(limit.powerLimitMw());
      case SettingValue.GpuClocks clocks -> isWithin(bound, clocks.locked());
      case SettingValue.MemClocks clocks -> isWithin(bound, clocks.locked());
      case SettingValue.PersistenceMode mode -> true;
    };
  }

  /** Where the driver decides, it may choose anything. */
  private static boolean isWithin(Range bound, Optional<ClockRange> clocks) {
    return clocks.isPresent()
        && bound.contains(clocks.get().minClockMhz())
        && bound.contains(clocks.get().maxClockMhz());
  }

  /** Which GPUs, for people. */
  String describeGpus() {
    return gpus.isEmpty()
        ? "all GPUs"
        : (gpus.size() == 1 ? "GPU " : "GPUs ")
            + gpus.stream().map(GpuSelector::toString).collect(Collectors.joining(", "));
  }

  /** What a setting may be, for people; of one that may be changed. */
  String describe(SettingKey key) {
    Range bound = bounds.get(key);
    String name = key.wireName();
    if (bound == null) {
      return name + " any";
    }
    return key == SettingKey.POWER_LIMIT || key == SettingKey.MODULE_POWER_LIMIT
        ? name + " " + watts(bound.min) + " to " + watts(bound.max) + " W"
        : name + " " + bound.min + " to " + bound.max + " MHz";
  }

  private static String watts(long milliwatts) {
    long rest = milliwatts % 1000;
    return milliwatts / 1000
        + (rest == 0 ? "" : "." + String.format("%03d", rest).replaceAll("0+$", ""));
  }

  /** All of it but for whom it is, on one line. */
  @Override
  public String toString() {
    String names =
        groups.stream().sorted().map(ApiGroup::wireName).collect(Collectors.joining(", "));
    String all = leaseAdmin ? names + (names.isEmpty() ? "" : ", ") + Claims.LEASE_ADMIN : names;
    if (groups.stream().allMatch(group -> group == ApiGroup.CPU_READ)) {
      return all;
    }
    String changes =
        groups.contains(ApiGroup.GPU_CONTROL)
            ? ": "
                + new TreeSet<>(settingKeys)
                    .stream().map(this::describe).collect(Collectors.joining(", "))
            : "";
    return all + " on " + describeGpus() + changes;
  }
}
