package dev.zeusd.client;

/** What can be set of a GPU, and leased. */
public enum SettingKey {
  /** The power limit of the GPU. */
  POWER_LIMIT,
  /** The power limit of the module that carries it, with its CPU and memory. */
  MODULE_POWER_LIMIT,
  /** The range of the clocks of its processors. */
  GPU_CLOCKS,
  /** The range of the clocks of its memory. */
  MEM_CLOCKS,
  /** Whether the driver stays loaded while nobody uses the GPU. */
  PERSISTENCE_MODE;

  /** {@return the name as in requests and answers} */
  public String wireName() {
    return WireNames.of(this);
  }
}
