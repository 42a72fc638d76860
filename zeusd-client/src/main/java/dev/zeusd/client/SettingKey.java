package dev.zeusd.client;

import java.util.Locale;

/** What can be set of a GPU, and leased. */
public enum SettingKey {
  /** The power limit. */
  POWER_LIMIT,
  /** The range of the clocks of its processors. */
  GPU_CLOCKS,
  /** The range of the clocks of its memory. */
  MEM_CLOCKS,
  /** Whether the driver stays loaded while nobody uses the GPU. */
  PERSISTENCE_MODE;

  /** {@return the name as in requests and answers} */
  public String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }
}
