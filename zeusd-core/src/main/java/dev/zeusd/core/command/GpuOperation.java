package dev.zeusd.core.command;

import java.util.List;
import java.util.Locale;

/** What can be done to a GPU by commands, and what these may be told of it. */
public enum GpuOperation {
  /** {@code enabled}: 1 or 0. */
  SET_PERSISTENCE_MODE("enabled"),
  /** The limit in mW, and in whole W, rounded down. */
  SET_POWER_LIMIT("power_limit_mw", "power_limit_w"),
  /** The range of the GPU's clock, in MHz. */
  SET_GPU_LOCKED_CLOCKS("min_clock_mhz", "max_clock_mhz"),
  /** Back to the clocks that the driver chooses. */
  RESET_GPU_LOCKED_CLOCKS,
  /** The range of the memory's clock, in MHz. */
  SET_MEM_LOCKED_CLOCKS("min_clock_mhz", "max_clock_mhz"),
  /** The same of the memory. */
  RESET_MEM_LOCKED_CLOCKS,
  /** Both clocks. */
  RESET_LOCKED_CLOCKS;

  private final List<String> values;

  GpuOperation(String... values) {
    this.values = List.of(values);
  }

  /** {@return the name in files, such as {@code set_power_limit}} */
  public String fileName() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Its name for people, such as {@code set power limit}. */
  String inWords() {
    return fileName().replace('_', ' ');
  }

  /** {@return what may stand in braces in its commands, besides {@code gpu_id}} */
  public List<String> placeholders() {
    return values;
  }
}
