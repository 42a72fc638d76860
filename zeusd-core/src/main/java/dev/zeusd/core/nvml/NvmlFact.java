package dev.zeusd.core.nvml;

import dev.zeusd.ffm.nvml.NvmlException;
import java.util.Optional;

/** One thing that a GPU tells of itself, or does not. For one thread at a time. */
final class NvmlFact<T> {
  private final String name;
  private Optional<T> value = Optional.empty();
  private boolean settled;
  private boolean complained;

  /** A fact, by its name in the log. */
  NvmlFact(String name) {
    this.name = name;
  }

  Optional<T> value() {
    return value;
  }

  /** Whether it is known, or known not to be told. */
  boolean isSettled() {
    return settled;
  }

  /**
   * Asks unless it is settled.
   *
   * @return what there is to complain about, the first time that it fails
   */
  Optional<String> ask(Question<T> question) {
    if (settled) {
      return Optional.empty();
    }
    try {
      value = Optional.of(question.ask());
      settled = true;
      return Optional.empty();
    } catch (NvmlException e) {
      settled = isLasting(e);
      Optional<String> complaint =
          complained ? Optional.empty() : Optional.of("no " + name + ": " + e.getMessage());
      complained = true;
      return complaint;
    }
  }

  private static boolean isLasting(NvmlException e) {
    return switch (e.result()) {
      case NOT_SUPPORTED, FUNCTION_NOT_FOUND, ARGUMENT_VERSION_MISMATCH, DEPRECATED -> true;
      default -> false;
    };
  }
}
