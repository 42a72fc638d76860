package dev.zeusd.bench;

import java.util.List;
import java.util.stream.Collectors;

/**
 * Something that is measured. docs/performance.md describes each row.
 *
 * @param name how to select it
 * @param hasFloor whether the echo server gets the same load
 */
record Row(
    String name,
    String title,
    Setup setup,
    boolean hasFloor,
    Workload workload,
    List<Figure> figures) {

  /** Its figures of one measurement, for people. */
  String shown(Measurement measurement) {
    return figures.stream()
        .map(
            figure ->
                "%s %s %s"
                    .formatted(
                        figure.title(),
                        Series.number(figure.value().applyAsDouble(measurement)),
                        figure.unit()))
        .collect(Collectors.joining(", "));
  }
}
