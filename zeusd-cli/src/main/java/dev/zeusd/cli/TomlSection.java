package dev.zeusd.cli;

import dev.zeusd.cli.ConfigProblems.Place;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.tomlj.Toml;
import org.tomlj.TomlArray;
import org.tomlj.TomlParseResult;
import org.tomlj.TomlPosition;
import org.tomlj.TomlTable;

/**
 * A table of a TOML file, read strictly: a key that nobody has asked for, and a value of another
 * kind than asked for, is a problem of the file.
 */
final class TomlSection {
  private static final String BYTE_ORDER_MARK = "\uFEFF";

  private final TomlTable table;
  private final Place place;
  private final ConfigProblems problems;
  private final Set<String> known = new LinkedHashSet<>();

  private TomlSection(TomlTable table, Place place, ConfigProblems problems) {
    this.table = table;
    this.place = place;
    this.problems = problems;
  }

  /** The whole of a file; what the file itself violates is among the problems. */
  static TomlSection parse(String text, ConfigProblems problems) {
    TomlParseResult parsed;
    try {
      // Some editors begin each file with this.
      parsed = Toml.parse(text.startsWith(BYTE_ORDER_MARK) ? text.substring(1) : text);
    } catch (StackOverflowError e) {
      // The parser calls itself for what is within something.
      problems.add(new Place(1, 1), "arrays or tables are nested too deep");
      parsed = Toml.parse("");
    }
    parsed
        .errors()
        .forEach(error -> problems.add(place(error.position()), firstLine(error.getMessage())));
    return new TomlSection(parsed, new Place(1, 1), problems);
  }

  private static String firstLine(String message) {
    return message.lines().findFirst().orElse("not TOML");
  }

  private static Place place(TomlPosition position) {
    return new Place(position.line(), position.column());
  }

  /** Where it begins. */
  Place place() {
    return place;
  }

  private Place placeOf(String key) {
    TomlPosition position = table.inputPositionOf(List.of(key));
    return position == null ? place : place(position);
  }

  /** Something is wrong with the value of a key. */
  void refuse(String key, String why) {
    problems.add(placeOf(key), key + ": " + why);
  }

  /** Something is missing, or does not go together. */
  void refuse(String why) {
    problems.add(place, why);
  }

  boolean has(String key) {
    return table.contains(List.of(key));
  }

  /** A value of one type; a problem, and empty, if it is of another one. */
  private <T> Optional<T> value(String key, Class<T> type, String example) {
    known.add(key);
    Object value = table.get(List.of(key));
    if (value == null) {
      return Optional.empty();
    }
    if (!type.isInstance(value)) {
      refuse(key, "is " + kind(value) + ", write it as " + key + " = " + example);
      return Optional.empty();
    }
    return Optional.of(type.cast(value));
  }

  private static String kind(Object value) {
    return switch (value) {
      case String s -> "a string";
      case Long l -> "a whole number";
      case Double d -> "a number";
      case Boolean b -> "true or false";
      case TomlArray a -> "a list";
      case TomlTable t -> "a table";
      default -> "a date or time";
    };
  }

  /** True or false. */
  Optional<Boolean> bool(String key) {
    return value(key, Boolean.class, "true");
  }

  /** Text, or a whole number, as text. */
  Optional<String> text(String key, String example) {
    boolean isNumber = table.get(List.of(key)) instanceof Long;
    return isNumber
        ? value(key, Long.class, example).map(String::valueOf)
        : value(key, String.class, example);
  }

  /** Text only. */
  Optional<String> string(String key, String example) {
    return value(key, String.class, example);
  }

  /** A whole number. */
  Optional<Long> number(String key, String example) {
    return value(key, Long.class, example);
  }

  /**
   * A list of texts, or a single one.
   *
   * @param convert what each is taken for; what it throws says why that cannot be
   */
  <T> List<T> list(String key, String example, Function<String, T> convert) {
    return list(key, example, convert, Set.of(String.class));
  }

  /** The same of texts and whole numbers. */
  <T> List<T> listOfAny(String key, String example, Function<String, T> convert) {
    return list(key, example, convert, Set.of(String.class, Long.class));
  }

  private <T> List<T> list(
      String key, String example, Function<String, T> convert, Set<Class<?>> types) {
    Object value = table.get(List.of(key));
    List<T> items = new ArrayList<>();
    known.add(key);
    if (value instanceof TomlArray array) {
      for (int i = 0; i < array.size(); i++) {
        Object item = array.get(i);
        Place itsPlace = place(array.inputPositionOf(i));
        if (types.contains(item.getClass())) {
          convert(key, item, itsPlace, convert).ifPresent(items::add);
        } else {
          problems.add(itsPlace, key + ": " + kind(item) + " cannot be in this list");
        }
      }
      if (array.isEmpty()) {
        refuse(key, "is empty, write " + key + " = " + example + ", or leave it out");
      }
    } else if (value != null && types.contains(value.getClass())) {
      convert(key, value, placeOf(key), convert).ifPresent(items::add);
    } else if (value != null) {
      refuse(key, "is " + kind(value) + ", write it as " + key + " = " + example);
    }
    return items;
  }

  private <T> Optional<T> convert(
      String key, Object item, Place itsPlace, Function<String, T> convert) {
    try {
      return Optional.of(convert.apply(item.toString()));
    } catch (IllegalArgumentException e) {
      problems.add(itsPlace, key + ": " + e.getMessage());
      return Optional.empty();
    }
  }

  /** Two numbers, the lower one first; empty if there are none, or they make no sense. */
  Optional<double[]> range(String key, String example) {
    Optional<TomlArray> found = value(key, TomlArray.class, example);
    if (found.isEmpty()) {
      return Optional.empty();
    }
    TomlArray array = found.get();
    boolean areNumbers =
        array.toList().stream().allMatch(item -> item instanceof Long || item instanceof Double);
    if (array.size() != 2 || !areNumbers) {
      refuse(key, "is not two numbers, write it as " + key + " = " + example);
      return Optional.empty();
    }
    double low = ((Number) array.get(0)).doubleValue();
    double high = ((Number) array.get(1)).doubleValue();
    if (!(low >= 0 && low <= high && high <= 0xFFFF_FFFFL)) {
      refuse(
          key,
          "cannot go from "
              + array.get(0)
              + " to "
              + array.get(1)
              + (low > high
                  ? ", put the lower one first"
                  : ", write it as " + key + " = " + example));
      return Optional.empty();
    }
    return Optional.of(new double[] {low, high});
  }

  /** The tables {@code [[key]]}. */
  List<TomlSection> sections(String key) {
    Optional<TomlArray> found =
        has(key) ? value(key, TomlArray.class, "..., or rather [[" + key + "]]") : Optional.empty();
    known.add(key);
    List<TomlSection> sections = new ArrayList<>();
    found.ifPresent(
        array -> {
          for (int i = 0; i < array.size(); i++) {
            Place itsPlace = place(array.inputPositionOf(i));
            if (array.get(i) instanceof TomlTable each) {
              sections.add(new TomlSection(each, itsPlace, problems));
            } else {
              problems.add(itsPlace, key + ": write it as [[" + key + "]]");
            }
          }
        });
    return sections;
  }

  /** Whether there is a table of this name. */
  boolean isTable(String key) {
    return table.get(List.of(key)) instanceof TomlTable;
  }

  /** The table {@code [key]}. */
  Optional<TomlSection> section(String key) {
    return value(key, TomlTable.class, "..., or rather [" + key + "]")
        .map(each -> new TomlSection(each, placeOf(key), problems));
  }

  /** The keys that are there and have not been asked for. */
  Collection<String> others() {
    Set<String> others = new LinkedHashSet<>(table.keySet());
    others.removeAll(known);
    return others;
  }

  /** Every key that nobody has asked for is a mistake; says which one may have been meant. */
  void refuseOthers(Collection<String> alsoPossible) {
    Set<String> possible = new LinkedHashSet<>(known);
    possible.addAll(alsoPossible);
    for (String key : others()) {
      String wanted =
          Similar.to(key, possible)
              .map(similar -> "; did you mean " + similar + "?")
              .orElseGet(
                  () ->
                      "; there are "
                          + possible.stream().sorted().collect(Collectors.joining(", ")));
      problems.add(placeOf(key), "unknown key '" + key + "'" + wanted);
    }
  }
}
