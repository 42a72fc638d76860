package dev.zeusd.bench;

import java.util.Optional;

/**
 * What a figure is to reach.
 *
 * @param of what is compared with the limit
 * @param atMost whether the limit is the greatest good value, else the least
 */
record Goal(Of of, boolean atMost, double limit) {
  /** A figure of A as it is, or divided by that of B or of the floor. */
  enum Of {
    A(""),
    A_TO_B(" B"),
    A_TO_FLOOR(" floor");

    private final String suffix;

    Of(String suffix) {
      this.suffix = suffix;
    }
  }

  static Goal atMost(double limit, Of of) {
    return new Goal(of, true, limit);
  }

  static Goal atLeast(double limit, Of of) {
    return new Goal(of, false, limit);
  }

  /** Whether it is reached by the medians; empty where what it needs was not measured. */
  Optional<Boolean> isReachedBy(Line line) {
    Optional<Series> series =
        switch (of) {
          case A -> line.a();
          case A_TO_B -> line.aToB();
          case A_TO_FLOOR -> line.aToFloor();
        };
    return series.map(s -> atMost ? s.median() <= limit : s.median() >= limit);
  }

  @Override
  public String toString() {
    String factor = of == Of.A ? "" : " ×";
    return (atMost ? "≤ " : "≥ ") + limit + factor + of.suffix;
  }
}
