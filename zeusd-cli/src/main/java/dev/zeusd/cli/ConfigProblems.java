package dev.zeusd.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** What is wrong with a configuration file, and where. */
final class ConfigProblems {
  private final Path file;
  private final List<Problem> problems = new ArrayList<>();

  ConfigProblems(Path file) {
    this.file = file;
  }

  /** Where something stands in the file, from 1 on. */
  record Place(int line, int column) implements Comparable<Place> {
    @Override
    public int compareTo(Place other) {
      return Comparator.comparingInt(Place::line)
          .thenComparingInt(Place::column)
          .compare(this, other);
    }
  }

  private record Problem(Place place, String text) {}

  /** Something that is wrong, and what would be right. */
  void add(Place place, String text) {
    problems.add(new Problem(place, text));
  }

  boolean isEmpty() {
    return problems.isEmpty();
  }

  /** Each as {@code FILE:LINE:COLUMN: text}, in the order of the file. */
  List<String> lines() {
    return problems.stream()
        .sorted(Comparator.comparing(Problem::place))
        .map(
            problem ->
                "%s:%d:%d: %s"
                    .formatted(file, problem.place.line, problem.place.column, problem.text))
        .toList();
  }
}
