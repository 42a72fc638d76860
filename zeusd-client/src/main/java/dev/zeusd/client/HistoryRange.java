package dev.zeusd.client;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Which part of the past, by the daemon's clock ({@link ZeusdClient#timeMs}).
 *
 * @param fromMs from when on, in ms since 1970; empty: all that the daemon has kept
 * @param toMs until when; empty: now
 * @param step into how long steps it is cut, in whole ms; empty: 500 of them at most
 */
public record HistoryRange(OptionalLong fromMs, OptionalLong toMs, Optional<Duration> step) {
  /** Checks the values. */
  public HistoryRange {
    Objects.requireNonNull(fromMs);
    Objects.requireNonNull(toMs);
    if (step.isPresent() && step.get().toMillis() < 1) {
      throw new IllegalArgumentException("a step of " + step.get() + " is less than 1 ms");
    }
  }

  /** {@return all that the daemon has kept} */
  public static HistoryRange all() {
    return new HistoryRange(OptionalLong.empty(), OptionalLong.empty(), Optional.empty());
  }

  /**
   * {@return the same from a moment on, in ms since 1970}
   *
   * @param beginMs the moment from which on power is wanted
   */
  public HistoryRange since(long beginMs) {
    return new HistoryRange(OptionalLong.of(beginMs), toMs, step);
  }

  /**
   * {@return the same until a moment, in ms since 1970}
   *
   * @param endMs the moment up to which power is wanted
   */
  public HistoryRange until(long endMs) {
    return new HistoryRange(fromMs, OptionalLong.of(endMs), step);
  }

  /**
   * {@return the same in steps of this length}
   *
   * @param length at least 1 ms
   */
  public HistoryRange inStepsOf(Duration length) {
    return new HistoryRange(fromMs, toMs, Optional.of(length));
  }

  Target of(Target target) {
    Target all = target;
    if (fromMs.isPresent()) {
      all = all.with("from_ms", fromMs.getAsLong());
    }
    if (toMs.isPresent()) {
      all = all.with("to_ms", toMs.getAsLong());
    }
    return step.isPresent() ? all.with("step_ms", step.get().toMillis()) : all;
  }
}
