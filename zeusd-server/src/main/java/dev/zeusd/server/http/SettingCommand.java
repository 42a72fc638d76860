package dev.zeusd.server.http;

import static dev.zeusd.core.settings.SettingKey.GPU_CLOCKS;
import static dev.zeusd.core.settings.SettingKey.MEM_CLOCKS;
import static dev.zeusd.core.settings.SettingKey.PERSISTENCE_MODE;
import static dev.zeusd.core.settings.SettingKey.POWER_LIMIT;

import dev.zeusd.core.device.Gpu;
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
 * @param keys all that it may write
 * @param parameters of its query, by which it is told to what
 * @param writes reads them
 */
record SettingCommand(
    String name,
    Set<SettingKey> keys,
    Set<String> parameters,
    Function<Query, List<Write>> writes) {
  private static final String POWER_LIMIT_MW = "power_limit_mw";
  private static final String ENABLED = "enabled";
  private static final String MIN_CLOCK_MHZ = "min_clock_mhz";
  private static final String MAX_CLOCK_MHZ = "max_clock_mhz";
  private static final Set<String> RANGE = Set.of(MIN_CLOCK_MHZ, MAX_CLOCK_MHZ);

  private static final Write LIMIT_RESET = new Write(POWER_LIMIT, Optional.empty());
  private static final Write GPU_RESET = Write.of(new SettingValue.GpuClocks(Optional.empty()));
  private static final Write MEM_RESET = Write.of(new SettingValue.MemClocks(Optional.empty()));

  static final List<SettingCommand> ALL =
      List.of(
          set("power_limit", POWER_LIMIT, Set.of(POWER_LIMIT_MW), SettingCommand::powerLimit),
          set("persistence_mode", PERSISTENCE_MODE, Set.of(ENABLED), SettingCommand::persistence),
          set("gpu_locked_clocks", GPU_CLOCKS, RANGE, SettingCommand::gpuClocks),
          set("mem_locked_clocks", MEM_CLOCKS, RANGE, SettingCommand::memClocks),
          reset("power_limit", LIMIT_RESET),
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
      String what, SettingKey key, Set<String> parameters, Function<Query, SettingValue> value) {
    return new SettingCommand(
        "set_" + what, Set.of(key), parameters, query -> List.of(Write.of(value.apply(query))));
  }

  private static SettingCommand reset(String what, Write... writes) {
    List<Write> all = List.of(writes);
    Set<SettingKey> keys = all.stream().map(Write::key).collect(Collectors.toUnmodifiableSet());
    return new SettingCommand("reset_" + what, keys, Set.of(), query -> all);
  }

  private static SettingValue powerLimit(Query query) {
    return new SettingValue.PowerLimit(query.u32(POWER_LIMIT_MW));
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
