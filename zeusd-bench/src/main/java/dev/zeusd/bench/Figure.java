package dev.zeusd.bench;

import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * What a row shows of its measurements.
 *
 * @param value takes it out of one measurement
 */
record Figure(String title, String unit, ToDoubleFunction<Measurement> value, List<Goal> goals) {

  /** A time in µs that the load generator gives under {@code key}. */
  static Figure micros(String title, String key, Goal... goals) {
    return new Figure(title, "µs", m -> m.get(key), List.of(goals));
  }

  /** The same in ms. */
  static Figure millis(String title, String key, Goal... goals) {
    return new Figure(title, "ms", m -> m.get(key) / 1000, List.of(goals));
  }
}
