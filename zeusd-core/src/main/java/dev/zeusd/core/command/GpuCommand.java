package dev.zeusd.core.command;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What is run for one operation.
 *
 * @param commands one after the other, each a program's absolute path and its arguments, in which
 *     names in braces stand for values: of the {@link Fact facts} of the GPU and of the operation;
 *     no shell sees them
 * @param errorPattern what, found in a command's output, means that it has failed
 * @param timeout how long each command may take
 */
public record GpuCommand(
    List<List<String>> commands, Optional<Pattern> errorPattern, Duration timeout) {
  private static final Pattern BRACES = Pattern.compile("\\{([^{}]*)\\}|[{}]");

  /** What any command may be told of its GPU: the name in braces, in lower case. */
  enum Fact {
    /** zeusd's id of it. */
    GPU_ID,
    /** Who made it, such as {@code nvidia}. */
    VENDOR,
    /** As the vendor's own tools count it: from 0, and without GPUs of others. */
    VENDOR_INDEX,
    GPU_UUID,
    /** As {@code lspci -D} prints it. */
    PCI_ADDRESS;

    static Fact of(String name) {
      return valueOf(name.toUpperCase(Locale.ROOT));
    }

    static List<String> names() {
      return Arrays.stream(values()).map(fact -> fact.name().toLowerCase(Locale.ROOT)).toList();
    }
  }

  /** Checks that there is something to run. */
  public GpuCommand {
    commands = commands.stream().map(List::copyOf).toList();
    if (commands.isEmpty() || commands.stream().anyMatch(List::isEmpty)) {
      throw new IllegalArgumentException("no command");
    }
    if (!timeout.isPositive()) {
      throw new IllegalArgumentException("the timeout has to be longer than nothing");
    }
  }

  /**
   * Takes a command line apart as a shell would, but for what a shell replaces: blanks separate,
   * quotes and backslashes keep together.
   *
   * @param line as in the configuration
   * @param operation what it is for, which says which placeholders there may be
   * @return the words of the command
   * @throws IllegalArgumentException if a quote does not end, there is nothing, or what stands in
   *     braces is none of the operation's values
   */
  public static List<String> split(String line, GpuOperation operation) {
    List<String> words = new ArrayList<>();
    StringBuilder word = new StringBuilder();
    boolean inWord = false;
    char quote = 0;
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (quote == '\'' ? c == quote : quote == 0 && c == '\'') {
        quote = quote == 0 ? c : 0;
        inWord = true;
      } else if (c == '"' && quote != '\'') {
        quote = quote == 0 ? c : 0;
        inWord = true;
      } else if (c == '\\' && quote != '\'' && i + 1 < line.length()) {
        char next = line.charAt(++i);
        if (quote == '"' && "\"\\$`".indexOf(next) < 0) {
          word.append(c);
        }
        word.append(next);
        inWord = true;
      } else if (quote == 0 && Character.isWhitespace(c)) {
        if (inWord) {
          words.add(word.toString());
          word.setLength(0);
        }
        inWord = false;
      } else {
        word.append(c);
        inWord = true;
      }
    }
    if (quote != 0) {
      throw new IllegalArgumentException("a quote " + quote + " does not end in: " + line);
    }
    if (inWord) {
      words.add(word.toString());
    }
    if (words.isEmpty()) {
      throw new IllegalArgumentException("a command is empty");
    }
    words.forEach(each -> check(each, operation));
    return words;
  }

  /** That what stands in braces in a word can be told. */
  static void check(String word, GpuOperation operation) {
    Matcher braces = BRACES.matcher(word);
    while (braces.find()) {
      String name = braces.group(1);
      List<String> possible = new ArrayList<>(Fact.names());
      possible.addAll(operation.placeholders());
      if (!possible.contains(name)) {
        throw new IllegalArgumentException(
            "'%s' has braces that are none of {%s}".formatted(word, String.join("}, {", possible)));
      }
    }
  }

  /** The commands with values in the place of their names in braces. */
  List<List<String>> filled(UnaryOperator<String> valueOf) {
    return commands.stream()
        .map(command -> command.stream().map(word -> fill(word, valueOf)).toList())
        .toList();
  }

  private static String fill(String word, UnaryOperator<String> valueOf) {
    return BRACES
        .matcher(word)
        .replaceAll(found -> Matcher.quoteReplacement(valueOf.apply(found.group(1))));
  }
}
