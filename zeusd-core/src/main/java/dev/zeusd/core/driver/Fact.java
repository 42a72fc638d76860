package dev.zeusd.core.driver;

import dev.zeusd.ffm.driver.DriverException;
import java.util.Optional;

/** One thing that a GPU tells of itself, or does not. For one thread at a time. */
final class Fact<T> {
  private final String name;
  private final Question<T> question;
  private Optional<T> value = Optional.empty();
  private volatile boolean neverTold;
  private boolean settled;
  private boolean complained;

  /** A fact, by its name in the log. */
  Fact(String name, Question<T> question) {
    this.name = name;
    this.question = question;
  }

  Optional<T> value() {
    return value;
  }

  /** Whether it is known, or known not to be told. */
  boolean isSettled() {
    return settled;
  }

  /** Whether it is known not to be told; from any thread. */
  boolean isNeverTold() {
    return neverTold;
  }

  /**
   * Asks unless it is settled.
   *
   * @return what there is to complain about, the first time that it fails
   */
  Optional<String> ask() {
    if (settled) {
      return Optional.empty();
    }
    try {
      value = Optional.of(question.ask());
      settled = true;
      return Optional.empty();
    } catch (DriverException e) {
      neverTold = e.isLasting();
      settled = neverTold;
      Optional<String> complaint =
          complained ? Optional.empty() : Optional.of("no " + name + ": " + e.getMessage());
      complained = true;
      return complaint;
    }
  }
}
