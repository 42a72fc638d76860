package dev.zeusd.server.http;

import static dev.zeusd.core.settings.SettingKey.MODULE_POWER_LIMIT;
import static dev.zeusd.core.settings.SettingKey.POWER_LIMIT;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.core.settings.SettingValue.ClockRange;
import io.helidon.http.BadRequestException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * What an endpoint sets.
 *
 * @param name of the endpoint, below {@code /gpu/}
 * @param parameters of its query, by which it is told which settings, and to what
 * @param writes reads them
 */
record SettingCommand(String name, Set<String> parameters, Function<Query, List<Write>> writes) {
  private static final String POWER_LIMIT_MW = "power_limit_mw";
  private static final String ENABLED = "enabled";
  private static final String MIN_CLOCK_MHZ = "min_clock_mhz";
  private static final String MAX_CLOCK_MHZ = "max_clock_mhz";
  private static final Set<String> RANGE = Set.of(MIN_CLOCK_MHZ, MAX_CLOCK_MHZ);

  private static final Write GPU_RESET = Write.of(new SettingValue.GpuClocks(Optional.empty()));
  private static final Write MEM_RESET = Write.of(new SettingValue.MemClocks(Optional.empty()));

  static final List<SettingCommand> ALL =
      List.of(
          set("power_limit", Set.of(POWER_LIMIT_MW, Query.SCOPE), SettingCommand::powerLimit),
          set("persistence_mode", Set.of(ENABLED), SettingCommand::persistence),
          set("gpu_locked_clocks", RANGE, SettingCommand::gpuClocks),
          set("mem_locked_clocks", RANGE, SettingCommand::memClocks),
          new SettingCommand(
              "reset_power_limit", Set.of(Query.SCOPE), SettingCommand::powerLimitReset),
          reset("gpu_locked_clocks", GPU_RESET),
          reset("mem_locked_clocks", MEM_RESET),
          reset("locked_clocks", GPU_RESET, MEM_RESET));

  /**
   * A setting that is to be changed.
   *
   * @param value to what; empty for what the driver sets by itself
   */
  record Write(SettingKey key, Optional<SettingValue> value) {
    private static Write of(SettingValue value) {
      return new Write(value.key(), Optional.of(value));
    }

    /** To what; on the GPU's thread, since it may have to ask the GPU. */
    SettingValue valueFor(Gpu gpu) {
      return value.orElseGet(() -> SettingValue.driverDefault(key, gpu));
    }
  }

  private static SettingCommand set(
      String what, Set<String> parameters, Function<Query, SettingValue> value) {
    return new SettingCommand(
        "set_" + what, parameters, query -> List.of(Write.of(value.apply(query))));
  }

  private static SettingCommand reset(String what, Write... writes) {
    List<Write> all = List.of(writes);
    return new SettingCommand("reset_" + what, Set.of(), query -> all);
  }

  /** All that these change. */
  static Set<SettingKey> keys(List<Write> writes) {
    return writes.stream().map(Write::key).collect(Collectors.toUnmodifiableSet());
  }

  private static boolean isOfModule(Query query) {
    return query.scope().equals(Optional.of(PowerScope.MODULE));
  }

  private static List<Write> powerLimitReset(Query query) {
    SettingKey key = isOfModule(query) ? MODULE_POWER_LIMIT : POWER_LIMIT;
    return List.of(new Write(key, Optional.empty()));
  }

  private static SettingValue powerLimit(Query query) {
    long powerLimitMw = query.u32(POWER_LIMIT_MW);
    return isOfModule(query)
        ? new SettingValue.ModulePowerLimit(powerLimitMw)
        : new SettingValue.PowerLimit(powerLimitMw);
  }

  private static SettingValue persistence(Query query) {
    return new SettingValue.PersistenceMode(query.bool(ENABLED));
  }

  private static SettingValue gpuClocks(Query query) {
    return new SettingValue.GpuClocks(Optional.of(range(query)));
  }

  private static SettingValue memClocks(Query query) {
    return new SettingValue.MemClocks(Optional.of(range(query)));
  }

  private static ClockRange range(Query query) {
    ClockRange range = new ClockRange(query.u32(MIN_CLOCK_MHZ), query.u32(MAX_CLOCK_MHZ));
    if (range.minClockMhz() > range.maxClockMhz()) {
      throw new BadRequestException(
          "parameter '%s': %d is above '%s', %d"
              .formatted(MIN_CLOCK_MHZ, range.minClockMhz(), MAX_CLOCK_MHZ, range.maxClockMhz()));
    }
    return range;
  }
}
