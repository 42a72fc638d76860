package dev.zeusd.cli;

import java.util.List;

/** A configuration file that makes no sense, whatever the machine's state. */
final class ConfigException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient List<String> problems;

  /** One or more, each with its place. */
  ConfigException(List<String> problems) {
    super(
        problems.getFirst()
            + (problems.size() == 1
                ? ""
                : " (and %d more: zeusd config check shows all)".formatted(problems.size() - 1)));
    this.problems = List.copyOf(problems);
  }

  /** Each with its place. */
  List<String> problems() {
    return problems;
  }
}
