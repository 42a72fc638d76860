package dev.zeusd.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.function.IntSupplier;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.IHelpSectionRenderer;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/**
 * Lets the help of a command line break its lines between words only. Picocli breaks them within
 * paths, addresses and words with a hyphen, which then cannot be copied or looked for.
 */
final class WholeWords {
  /** So wide that picocli breaks no line by itself. */
  private static final int UNBROKEN = 100_000;

  private static final int USUAL_WIDTH = 80;

  /** With less room than this behind what stands before a text, the text goes below it. */
  private static final int LEAST_ROOM = 24;

  private static final int SHALLOW_INDENT = 8;
  private static final String ESCAPES = "\u001b\\[[0-9;]*m";

  private WholeWords() {}

  /**
   * Sets up {@code commandLine} and all commands below it.
   *
   * @param width how many characters a line may have; asked when help is wanted
   */
  static void setUp(CommandLine commandLine, IntSupplier width) {
    commandLine.setUsageHelpAutoWidth(false).setUsageHelpWidth(UNBROKEN);
    Map<String, IHelpSectionRenderer> sections = new HashMap<>(commandLine.getHelpSectionMap());
    sections.replaceAll((_, section) -> help -> broken(section.render(help), width.getAsInt()));
    // Of one piece with its heading, so that it goes on below its own beginning.
    sections.put(UsageMessageSpec.SECTION_KEY_SYNOPSIS_HEADING, _ -> "");
    sections.put(UsageMessageSpec.SECTION_KEY_SYNOPSIS, help -> synopsis(help, width.getAsInt()));
    commandLine.setHelpSectionMap(sections);
    commandLine.getSubcommands().values().forEach(command -> setUp(command, width));
  }

  private static String synopsis(Help help, int width) {
    String heading = help.synopsisHeading();
    String text = help.synopsis(heading.length()).stripTrailing();
    int indent = heading.length() + help.commandSpec().qualifiedName().length() + 1;
    return broken(heading + text, indent, width) + System.lineSeparator();
  }

  private static String broken(String section, int width) {
    // The texts of a section begin in one column; those with gaps of their own are not before it.
    int column = section.lines().mapToInt(WholeWords::behindGap).filter(c -> c > 0).min().orElse(0);
    return section
        .lines()
        .map(line -> broken(line, indent(line, column), width) + System.lineSeparator())
        .collect(Collectors.joining());
  }

  /** Where the text of a line begins: in the column of the texts, or with the line. */
  private static int indent(String line, int column) {
    String plain = line.replaceAll(ESCAPES, "");
    int start = start(plain);
    boolean fillsItsColumn =
        start < column && column < plain.length() && plain.charAt(column - 1) == ' ';
    return fillsItsColumn ? column : Math.max(start, behindGap(line));
  }

  private static int start(String line) {
    return line.length() - line.stripLeading().length();
  }

  /** Where it goes on behind its first gap, as between an option and its words; 0 without one. */
  private static int behindGap(String line) {
    String plain = line.replaceAll(ESCAPES, "");
    int gap = plain.indexOf("  ", start(plain));
    return gap < 0 ? 0 : gap + start(plain.substring(gap));
  }

  /**
   * Breaks one line.
   *
   * @param indent how far the lines that it becomes are indented, but for the first
   */
  private static String broken(String line, int indent, int width) {
    if (length(line) <= width) {
      return line;
    }
    boolean isDeep = width - indent < LEAST_ROOM;
    int nextIndent = isDeep ? Math.min(indent, SHALLOW_INDENT) : indent;
    StringBuilder lines = new StringBuilder();
    int column = 0;
    int gap = 0;
    int position = 0;
    for (String word : line.split(" ")) {
      if (word.isEmpty()) {
        gap++;
        position++;
        continue;
      }
      boolean isTextBelow = isDeep && position == indent;
      if (column > 0 && (isTextBelow || column + gap + length(word) > width)) {
        lines.append(System.lineSeparator()).append(" ".repeat(nextIndent));
        column = nextIndent;
      } else {
        int shown = isDeep && column == 0 ? Math.min(gap, nextIndent) : gap;
        lines.append(" ".repeat(shown));
        column += shown;
      }
      lines.append(word);
      column += length(word);
      position += length(word) + 1;
      gap = 1;
    }
    return lines.toString();
  }

  private static int length(String text) {
    return text.replaceAll(ESCAPES, "").length();
  }

  /** As COLUMNS says, else as wide as the terminal, else 80. */
  static int usualWidth() {
    String columns = System.getenv("COLUMNS");
    if (columns != null && columns.matches("[1-9]\\d{0,4}")) {
      return Integer.parseInt(columns);
    }
    return stdoutIsTerminal()
        ? CommandSpec.create().usageMessage().autoWidth(true).width()
        : USUAL_WIDTH;
  }

  private static boolean stdoutIsTerminal() {
    try {
      return Files.readSymbolicLink(Path.of("/proc/self/fd/1")).startsWith("/dev/pts");
    } catch (IOException e) {
      return false;
    }
  }
}
