package dev.zeusd.bench;

import java.util.List;
import java.util.Optional;

/**
 * A line of the table: one figure of one row. What was not measured, or failed, is empty.
 *
 * @param row the row's name
 * @param title what was done, and what of it is shown
 */
record Line(
    String row,
    String title,
    String unit,
    Optional<Series> a,
    Optional<Series> b,
    Optional<Series> floor,
    List<Goal> goals) {

  Optional<Series> aToB() {
    return ratio(a, b);
  }

  Optional<Series> aToFloor() {
    return ratio(a, floor);
  }

  private static Optional<Series> ratio(Optional<Series> of, Optional<Series> to) {
    return of.flatMap(numerator -> to.map(numerator::dividedBy));
  }
}
