package dev.zeusd.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** The results as a table in Markdown. */
final class MarkdownTable {
  private static final String NOTHING = "–";
  private static final List<String> HEAD =
      List.of("row", "figure", "A", "B", "floor", "A ÷ B", "A ÷ floor", "to reach", "reached");

  private MarkdownTable() {}

  /** One line for each figure; medians, with the least and the greatest of the turns. */
  static String of(List<Line> lines) {
    List<List<String>> table = new ArrayList<>();
    table.add(HEAD);
    table.add(HEAD.stream().map(title -> "---").toList());
    for (Line line : lines) {
      table.add(cells(line));
    }
    return table.stream()
        .map(cells -> "| " + String.join(" | ", cells) + " |\n")
        .collect(Collectors.joining());
  }

  private static List<String> cells(Line line) {
    String unit = line.unit().isEmpty() ? "" : ", " + line.unit();
    return List.of(
        line.row(),
        line.title() + unit,
        cell(line.a()),
        cell(line.b()),
        cell(line.floor()),
        cell(line.aToB()),
        cell(line.aToFloor()),
        join(line.goals().stream().map(Goal::toString).toList()),
        join(line.goals().stream().map(goal -> verdict(goal.isReachedBy(line))).toList()));
  }

  private static String cell(Optional<Series> series) {
    return series.map(Series::toString).orElse(NOTHING);
  }

  private static String join(List<String> parts) {
    return parts.isEmpty() ? NOTHING : String.join("; ", parts);
  }

  private static String verdict(Optional<Boolean> reached) {
    return reached.map(yes -> yes ? "yes" : "**no**").orElse(NOTHING);
  }
}
