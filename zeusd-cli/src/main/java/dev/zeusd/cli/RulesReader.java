package dev.zeusd.cli;

import dev.zeusd.core.device.GpuSelector;
import dev.zeusd.core.settings.Baseline;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.core.settings.SettingValue.ClockRange;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.Grant;
import dev.zeusd.server.auth.Who;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import picocli.CommandLine.TypeConversionException;

/** What a configuration file says of the settings of GPUs: grants and baselines. */
final class RulesReader {
  /** What 32 bits hold in mW. */
  private static final long MOST_WATTS = 4_294_967;

  private static final String POWER_LIMIT_W = "power_limit_w";
  private static final String MODULE_POWER_LIMIT_W = "module_power_limit_w";
  private static final String GPU_CLOCK_MHZ = "gpu_clock_mhz";
  private static final String MEM_CLOCK_MHZ = "mem_clock_mhz";

  /** NVIDIA's, and AMD's, which may have a place behind it that makes it different from others. */
  private static final Pattern GPU_UUID =
      Pattern.compile("(?i)GPU-[0-9a-f-]+|[0-9a-f]+(-[0-9a-f]+){4}(@[0-9a-f:.#]+)?");

  private final ConfigProblems warnings;

  /** Adds to {@code warnings} what makes sense, but may not be meant. */
  RulesReader(ConfigProblems warnings) {
    this.warnings = warnings;
  }

  // ---- Grants ----

  Grant grant(TomlSection section) {
    List<Who> who = section.list("who", "[\"uid:alice\"]", Who::parse);
    for (Who each : who) {
      if (!each.isKnown()) {
        warnings.add(section.place(), each + " is not known on this machine, so it is nobody");
      }
    }
    List<String> names = section.list("groups", "[\"gpu-read\"]", RulesReader::groupName);
    if (!section.has("who") || !section.has("groups")) {
      section.refuse(
          "a grant needs who and groups, such as who = [\"uid:alice\"] and groups ="
              + " [\"gpu-read\"]");
    }
    Set<ApiGroup> groups =
        Arrays.stream(ApiGroup.values())
            .filter(group -> names.contains(group.wireName()))
            .collect(Collectors.toCollection(() -> EnumSet.noneOf(ApiGroup.class)));
    List<GpuSelector> gpus = gpus(section);
    Set<SettingKey> settingKeys = settingKeys(section);
    Map<SettingKey, Grant.Range> bounds = bounds(section);
    section.refuseOthers(List.of());
    for (String key :
        List.of("settings", POWER_LIMIT_W, MODULE_POWER_LIMIT_W, GPU_CLOCK_MHZ, MEM_CLOCK_MHZ)) {
      if (section.has(key) && !groups.contains(ApiGroup.GPU_CONTROL)) {
        section.refuse(key, "has no effect without gpu-control in groups");
      }
    }
    if (!settingKeys.containsAll(bounds.keySet())) {
      section.refuse("settings", "lacks what this grant has a range for");
    }
    if (section.has("settings")
        && settingKeys.contains(SettingKey.MODULE_POWER_LIMIT)
        && bounds.containsKey(SettingKey.POWER_LIMIT)
        && !bounds.containsKey(SettingKey.MODULE_POWER_LIMIT)) {
      section.refuse(
          POWER_LIMIT_W,
          "bounds the GPU's limit and not its module's, which holds the GPU down as well: give "
              + MODULE_POWER_LIMIT_W
              + " too");
    }
    return new Grant(who, groups, names.contains(Claims.LEASE_ADMIN), gpus, settingKeys, bounds);
  }

  private static String groupName(String text) {
    try {
      return new Converters.Scopes().convert(text).getFirst();
    } catch (TypeConversionException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  private static List<GpuSelector> gpus(TomlSection section) {
    return section.has("gpus") ? section.listOfAny("gpus", "[0, 1]", RulesReader::gpu) : List.of();
  }

  private static GpuSelector gpu(String text) {
    if (text.matches("\\d{1,9}")) {
      return new GpuSelector.Index(Integer.parseInt(text));
    }
    if (GPU_UUID.matcher(text).matches()) {
      return new GpuSelector.Uuid(text);
    }
    if (text.regionMatches(true, 0, "MIG-", 0, 4)) {
      throw new IllegalArgumentException(
          "'"
              + text
              + "' is a part of a GPU, and settings are the whole GPU's: name that, GPU-...");
    }
    throw new IllegalArgumentException(
        "'" + text + "' is neither the index of a GPU, such as 0, nor its UUID, GPU-...");
  }

  private static Set<SettingKey> settingKeys(TomlSection section) {
    List<SettingKey> some =
        section.has("settings")
            ? section.list("settings", "[\"power_limit\"]", RulesReader::setting)
            : List.of(SettingKey.values());
    return some.isEmpty() ? EnumSet.noneOf(SettingKey.class) : EnumSet.copyOf(some);
  }

  private static SettingKey setting(String text) {
    return SettingKey.of(text)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "'" + text + "' is none of " + SettingKey.wireNames()));
  }

  private static Map<SettingKey, Grant.Range> bounds(TomlSection section) {
    Map<SettingKey, Grant.Range> bounds = new EnumMap<>(SettingKey.class);
    section
        .range(POWER_LIMIT_W, "[200, 300]")
        .ifPresent(watts -> bounds.put(SettingKey.POWER_LIMIT, range(watts, 1000)));
    section
        .range(MODULE_POWER_LIMIT_W, "[600, 900]")
        .ifPresent(watts -> bounds.put(SettingKey.MODULE_POWER_LIMIT, range(watts, 1000)));
    section
        .range(GPU_CLOCK_MHZ, "[900, 1500]")
        .ifPresent(mhz -> bounds.put(SettingKey.GPU_CLOCKS, range(mhz, 1)));
    section
        .range(MEM_CLOCK_MHZ, "[2619, 2619]")
        .ifPresent(mhz -> bounds.put(SettingKey.MEM_CLOCKS, range(mhz, 1)));
    return bounds;
  }

  private static Grant.Range range(double[] ends, int factor) {
    return new Grant.Range(Math.round(ends[0] * factor), Math.round(ends[1] * factor));
  }

  // ---- Baseline ----

  Baseline.Entry baseline(TomlSection section) {
    List<GpuSelector> gpus = gpus(section);
    List<SettingValue> values = new ArrayList<>();
    milliwatts(section, POWER_LIMIT_W, "300")
        .ifPresent(mw -> values.add(new SettingValue.PowerLimit(mw)));
    milliwatts(section, MODULE_POWER_LIMIT_W, "900")
        .ifPresent(mw -> values.add(new SettingValue.ModulePowerLimit(mw)));
    section
        .range(GPU_CLOCK_MHZ, "[900, 1500]")
        .ifPresent(mhz -> values.add(new SettingValue.GpuClocks(Optional.of(clocks(mhz)))));
    section
        .range(MEM_CLOCK_MHZ, "[2619, 2619]")
        .ifPresent(mhz -> values.add(new SettingValue.MemClocks(Optional.of(clocks(mhz)))));
    section
        .bool("persistence_mode")
        .ifPresent(enabled -> values.add(new SettingValue.PersistenceMode(enabled)));
    section.refuseOthers(List.of());
    if (values.isEmpty()) {
      section.refuse("a baseline needs a setting, such as power_limit_w = 300");
    }
    return new Baseline.Entry(gpus, values);
  }

  private static Optional<Long> milliwatts(TomlSection section, String key, String example) {
    Optional<Long> watts = section.number(key, example);
    if (watts.isPresent() && (watts.get() < 1 || watts.get() > MOST_WATTS)) {
      section.refuse(key, watts.get() + " is not from 1 to " + MOST_WATTS);
      return Optional.of(1L);
    }
    return watts.map(each -> each * 1000);
  }

  private static ClockRange clocks(double[] mhz) {
    return new ClockRange(Math.round(mhz[0]), Math.round(mhz[1]));
  }
}
