package dev.zeusd.server.auth;

import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.server.ApiGroup;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * What one caller may do, by the grants that were in force when this was asked. Each answer is
 * empty if it may, else it says who, what was asked, and what would be allowed.
 */
public final class Rights {
  /** All that is enabled. */
  public static final Rights UNLIMITED = new Rights("anybody", true, List.of());

  private static final String ANY_CLOCK = "to what the driver chooses";

  private final String name;
  private final boolean isUnlimited;
  private final List<Grant> grants;

  /** Of the caller called {@code name}, by these {@code grants}, unless all is allowed. */
  Rights(String name, boolean isUnlimited, List<Grant> grants) {
    this.name = name;
    this.isUnlimited = isUnlimited;
    this.grants = grants;
  }

  /** {@return whether all is allowed, so that nothing needs to be looked at} */
  public boolean isUnlimited() {
    return isUnlimited;
  }

  /** {@return whether a grant makes everybody's leases the caller's business} */
  public boolean isLeaseAdmin() {
    return grants.stream().anyMatch(Grant::leaseAdmin);
  }

  /**
   * {@return why not an endpoint of this group}
   *
   * @param group what is asked for
   */
  public Optional<String> refusalOf(ApiGroup group) {
    if (isUnlimited || !with(group).isEmpty()) {
      return Optional.empty();
    }
    if (grants.isEmpty()) {
      return Optional.of(
          name + " may not use " + group.wireName() + ": there are grants, and none is for it");
    }
    return Optional.of(
        name
            + " may not use "
            + group.wireName()
            + ": granted are "
            + grants.stream()
                .flatMap(grant -> grant.groups().stream())
                .distinct()
                .sorted()
                .map(ApiGroup::wireName)
                .collect(Collectors.joining(", ")));
  }

  /**
   * {@return why not what concerns all GPUs at once, those of the future included}
   *
   * @param group what is asked for
   * @param what in words, for the refusal
   */
  public Optional<String> refusalOfAllGpus(ApiGroup group, String what) {
    return isUnlimited || with(group).stream().anyMatch(Grant::coversAllGpus)
        ? Optional.empty()
        : Optional.of(name + " may not " + what + ", which concerns all GPUs: " + granted(group));
  }

  /**
   * {@return whether an endpoint of this group may be used for a GPU}
   *
   * @param group what is asked for
   * @param gpu which GPU
   */
  public boolean covers(ApiGroup group, GpuInfo gpu) {
    return isUnlimited || with(group).stream().anyMatch(grant -> grant.covers(gpu));
  }

  /**
   * {@return why not an endpoint of this group for one of these GPUs}
   *
   * @param group what is asked for
   * @param gpus which GPUs
   */
  public Optional<String> refusalOf(ApiGroup group, Collection<GpuInfo> gpus) {
    return isUnlimited
        ? Optional.empty()
        : gpus.stream()
            .filter(gpu -> !covers(group, gpu))
            .findFirst()
            .map(
                gpu ->
                    name
                        + " may not use "
                        + group.wireName()
                        + " for GPU "
                        + gpu.id()
                        + ": "
                        + granted(group));
  }

  private String granted(ApiGroup group) {
    return granted(with(group), Grant::describeGpus);
  }

  /**
   * {@return why not take these settings of a GPU for oneself}
   *
   * @param gpu which GPU
   * @param keys which settings
   */
  public Optional<String> refusalOf(GpuInfo gpu, Set<SettingKey> keys) {
    if (isUnlimited) {
      return Optional.empty();
    }
    List<Grant> own = changing(gpu);
    Set<SettingKey> missing = EnumSet.copyOf(keys);
    own.forEach(grant -> missing.removeAll(grant.settingKeys()));
    return missing.stream().findFirst().map(key -> mayNotSet(key.wireName(), gpu, own));
  }

  /**
   * {@return why not set a GPU to this}
   *
   * @param gpu which GPU
   * @param value what it is to be set to
   */
  public Optional<String> refusalOf(GpuInfo gpu, SettingValue value) {
    if (isUnlimited) {
      return Optional.empty();
    }
    List<Grant> own = changing(gpu);
    return own.stream().anyMatch(grant -> grant.allows(value))
        ? Optional.empty()
        : Optional.of(mayNotSet(describe(value), gpu, own));
  }

  private List<Grant> changing(GpuInfo gpu) {
    return with(ApiGroup.GPU_CONTROL).stream().filter(grant -> grant.covers(gpu)).toList();
  }

  private String mayNotSet(String what, GpuInfo gpu, List<Grant> own) {
    return name
        + " may not set "
        + what
        + " on GPU "
        + gpu.id()
        + ": "
        + (own.isEmpty() ? granted(ApiGroup.GPU_CONTROL) : granted(own, Rights::describeSettings));
  }

  private static String describeSettings(Grant grant) {
    return grant.settingKeys().stream()
        .sorted()
        .map(grant::describe)
        .collect(Collectors.joining(", "));
  }

  private static String describe(SettingValue value) {
    return switch (value) {
      case SettingValue.PowerLimit limit -> "power_limit " + limit.powerLimitMw() + " mW";
      case SettingValue.ModulePowerLimit limit ->
          "module_power_limit " + limit.powerLimitMw() + " mW";
      case SettingValue.GpuClocks clocks ->
          "gpu_clocks " + clocks.locked().map(range -> clocks.text() + " MHz").orElse(ANY_CLOCK);
      case SettingValue.MemClocks clocks ->
          "mem_clocks " + clocks.locked().map(range -> clocks.text() + " MHz").orElse(ANY_CLOCK);
      case SettingValue.PersistenceMode mode -> "persistence_mode " + mode.enabled();
    };
  }

  private List<Grant> with(ApiGroup group) {
    return grants.stream().filter(grant -> grant.groups().contains(group)).toList();
  }

  private static String granted(List<Grant> grants, Function<Grant, String> form) {
    return grants.isEmpty()
        ? "nothing is granted"
        : "granted is " + grants.stream().map(form).distinct().collect(Collectors.joining("; or "));
  }
}
