package dev.zeusd.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class MarkdownTableTest {
  private static final Optional<Series> NONE = Optional.empty();

  private static Optional<Series> series(Double... values) {
    return Optional.of(new Series(List.of(values)));
  }

  private static String lastLine(Line line) {
    return MarkdownTable.of(List.of(line)).lines().toList().getLast();
  }

  @Test
  void showsMediansSpreadsAndRatiosOfTheSameTurn() {
    List<Goal> goals =
        List.of(Goal.atMost(0.5, Goal.Of.A_TO_B), Goal.atMost(1.5, Goal.Of.A_TO_FLOOR));
    Line line =
        new Line(
            "row",
            "title",
            "µs",
            series(10.0, 40.0, 12.0),
            series(20.0, 100.0, 22.0),
            series(8.0, 8.0, 8.0),
            goals);

    // 10/20, 40/100, 12/22: the turn in which the machine was slow does not spoil the ratio.
    assertEquals(
        "| row | title, µs | 12.0 (10.0–40.0) | 22.0 (20.0–100) | 8.00 (8.00–8.00)"
            + " | 0.500 (0.400–0.545) | 1.50 (1.25–5.00) | ≤ 0.5 × B; ≤ 1.5 × floor | yes; yes |",
        lastLine(line));
  }

  @Test
  void aMissedGoalStandsOutAndOneThatCannotBeJudgedIsLeftOpen() {
    List<Goal> goals = List.of(Goal.atLeast(1.2, Goal.Of.A_TO_B), Goal.atMost(20, Goal.Of.A));
    Line line = new Line("row", "title", "", series(20.5, 21.0), NONE, NONE, goals);

    assertEquals(
        "| row | title | 20.8 (20.5–21.0) | – | – | – | – | ≥ 1.2 × B; ≤ 20.0 | –; **no** |",
        lastLine(line));
  }
}
