package dev.zeusd.core.settings;

import java.util.Locale;
import java.util.Objects;

/**
 * What became of a setting when its lease ended.
 *
 * @param outcome in short
 * @param problem why, where it is pending or impossible; else empty
 */
public record Restored(Outcome outcome, String problem) {
  /** In short. */
  public enum Outcome {
    /** It is what it was before. */
    RESTORED,
    /** The lease had not touched it. */
    UNCHANGED,
    /** Somebody else has set another value, which is left. */
    OVERRIDDEN,
    /** It was to be kept. */
    KEPT,
    /** It is not back yet, and will be tried again. */
    PENDING,
    /** A baseline asks for what this GPU does not have. */
    IMPOSSIBLE;

    /** {@return the name on the wire} */
    public String wireName() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Refuses null. */
  public Restored {
    Objects.requireNonNull(outcome);
    Objects.requireNonNull(problem);
  }

  static Restored as(Outcome outcome) {
    return new Restored(outcome, "");
  }

  static Restored pending(String problem) {
    return new Restored(Outcome.PENDING, problem);
  }

  static Restored impossible(String problem) {
    return new Restored(Outcome.IMPOSSIBLE, problem);
  }
}
