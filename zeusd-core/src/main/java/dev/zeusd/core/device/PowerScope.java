package dev.zeusd.core.device;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** What the power of a GPU covers. */
public enum PowerScope {
  /** The GPU alone. */
  GPU,
  /** The module that carries it, with its CPU and memory: where the GPU's own is not told. */
  MODULE;

  /** {@return the name on the wire, such as {@code module}} */
  public String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * The scope of a name on the wire.
   *
   * @param wireName as in requests and answers
   * @return the scope; empty for any other name
   */
  public static Optional<PowerScope> of(String wireName) {
    return Arrays.stream(values()).filter(scope -> scope.wireName().equals(wireName)).findFirst();
  }
}
