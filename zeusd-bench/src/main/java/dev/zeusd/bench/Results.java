package dev.zeusd.bench;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/** The measurements of all rows and servers, turn by turn. */
final class Results {
  private record Place(Row row, Column column) {}

  private final List<Row> rows;
  private final Map<Place, List<Measurement>> measurements = new HashMap<>();
  private final Map<Place, String> failures = new LinkedHashMap<>();

  Results(List<Row> rows) {
    this.rows = List.copyOf(rows);
  }

  /** Adds a turn's measurement. */
  void add(Row row, Column column, Measurement measurement) {
    measurements.computeIfAbsent(new Place(row, column), p -> new ArrayList<>()).add(measurement);
  }

  /** The server could not be measured in this row; what it has there by now does not count. */
  void fail(Row row, Column column, String why) {
    Place place = new Place(row, column);
    measurements.remove(place);
    failures.put(place, row.name() + ", " + column + ": " + why);
  }

  boolean hasFailed(Row row, Column column) {
    return failures.containsKey(new Place(row, column));
  }

  /** What could not be measured, and why. */
  List<String> failures() {
    return List.copyOf(failures.values());
  }

  /** One line for each figure, and the growth where its rows were measured. */
  List<Line> lines() {
    List<Line> lines = new ArrayList<>();
    for (Row row : rows) {
      for (Figure figure : row.figures()) {
        lines.add(
            new Line(
                row.name(),
                row.title() + ": " + figure.title(),
                figure.unit(),
                series(row, Column.A, figure.value()),
                series(row, Column.B, figure.value()),
                series(row, Column.FLOOR, figure.value()),
                figure.goals()));
      }
    }
    List<Row> growing = Rows.named(List.of(Rows.GROWTH));
    if (rows.containsAll(growing)) {
      lines.add(growth(growing));
    }
    return lines;
  }

  private Optional<Series> series(Row row, Column column, ToDoubleFunction<Measurement> figure) {
    return Optional.ofNullable(measurements.get(new Place(row, column)))
        .map(turns -> new Series(turns.stream().map(figure::applyAsDouble).toList()));
  }

  private Line growth(List<Row> growing) {
    return new Line(
        Rows.GROWTH,
        "server CPU per delivered sample, the greatest of 100 and 1000 subscribers ÷ 10",
        "",
        growth(growing, Column.A),
        growth(growing, Column.B),
        Optional.empty(),
        List.of(Goal.atMost(1.2, Goal.Of.A)));
  }

  /** How many times more a sample costs with the most expensive of the greater numbers. */
  private Optional<Series> growth(List<Row> growing, Column column) {
    List<Series> costs = new ArrayList<>();
    for (Row row : growing) {
      series(row, column, Rows.CPU_PER_SAMPLE).ifPresent(costs::add);
    }
    if (costs.size() < growing.size()) {
      return Optional.empty();
    }
    Series least = costs.removeFirst();
    return costs.stream().map(cost -> cost.dividedBy(least)).reduce(Series::max);
  }
}
