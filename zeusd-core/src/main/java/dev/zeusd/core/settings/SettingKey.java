package dev.zeusd.core.settings;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * What can be set on a GPU and put back, in the order in which it is put back: clocks that were
 * locked under a power limit go first, and persistence mode, which keeps all the others, last.
 */
public enum SettingKey {
  /** The range that the GPU's clock is locked to. */
  GPU_CLOCKS,
  /** The range that the memory's clock is locked to. */
  MEM_CLOCKS,
  /** The power limit of the GPU. */
  POWER_LIMIT,
  /** The power limit of the module that carries it, with its CPU and memory (Grace Hopper). */
  MODULE_POWER_LIMIT,
  /** Whether persistence mode is on. */
  PERSISTENCE_MODE;

  /** {@return the name on the wire, such as {@code power_limit}} */
  public String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** {@return all names, in the order of the keys, as people are shown them} */
  public static String wireNames() {
    return Arrays.stream(values()).map(SettingKey::wireName).collect(Collectors.joining(", "));
  }

  /**
   * The key of a name on the wire.
   *
   * @param wireName as in requests and answers
   * @return the key; empty for any other name
   */
  public static Optional<SettingKey> of(String wireName) {
    return Arrays.stream(values()).filter(key -> key.wireName().equals(wireName)).findFirst();
  }
}
