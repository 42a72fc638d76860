package dev.zeusd.cli;

import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.core.settings.Baseline;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.server.Limits;
import dev.zeusd.server.auth.Policy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** Takes a configuration file apart, and collects all that is wrong with it. */
final class ConfigReader {
  /** The name of a file, or all that would stand in it. */
  private static final String COMMANDS = "gpu-command-overrides";

  /** What a number makes sense for: of a duration, 0. */
  private static final Set<Class<?>> NUMBERS =
      Set.of(int.class, Integer.class, DurationOrNever.class);

  /** These make no sense in a file. */
  private static final Set<String> NOT_IN_FILES = Set.of("help", "version", "config");

  private final ConfigProblems problems;
  private final ConfigProblems warnings;

  private ConfigReader(Path file) {
    problems = new ConfigProblems(file);
    warnings = new ConfigProblems(file);
  }

  static ConfigFile read(Path file, String text, CommandSpec serve) {
    if (text.lines().allMatch(line -> line.isBlank() || line.stripLeading().startsWith("#"))) {
      // As it is shipped: then the parser is not even loaded.
      return new ConfigFile(
          file,
          Map.of(),
          Policy.OPEN,
          Baseline.none(),
          Limits.defaults(),
          GpuCommands.none(),
          List.of());
    }
    ConfigReader reader = new ConfigReader(file);
    TomlSection root = TomlSection.parse(text, reader.problems);
    Map<String, String> options = reader.options(root, serve);
    RulesReader rules = new RulesReader(reader.warnings);
    Policy policy = new Policy(root.sections("grant").stream().map(rules::grant).toList());
    Baseline baseline =
        new Baseline(root.sections("baseline").stream().map(rules::baseline).toList());
    Limits limits = root.section("limits").map(reader::limits).orElse(Limits.defaults());
    GpuCommands commands =
        root.isTable(COMMANDS)
            ? root.section(COMMANDS).map(CommandsReader::read).orElseThrow()
            : GpuCommands.none();
    root.refuseOthers(optionsOf(serve).keySet());
    if (!reader.problems.isEmpty()) {
      throw new ConfigException(reader.problems.lines());
    }
    return new ConfigFile(
        file, options, policy, baseline, limits, commands, reader.warnings.lines());
  }

  // ---- Options ----

  private static Map<String, OptionSpec> optionsOf(CommandSpec serve) {
    Map<String, OptionSpec> options = new LinkedHashMap<>();
    for (OptionSpec option : serve.options()) {
      String name = ConfigFile.nameOf(option);
      if (!NOT_IN_FILES.contains(name)) {
        options.put(name, option);
      }
    }
    return options;
  }

  private Map<String, String> options(TomlSection root, CommandSpec serve) {
    Map<String, String> values = new LinkedHashMap<>();
    optionsOf(serve)
        .forEach(
            (name, option) -> {
              if (root.has(name) && !(name.equals(COMMANDS) && root.isTable(name))) {
                option(root, name, option).ifPresent(value -> values.put(name, value));
              }
            });
    return values;
  }

  /** A value as it would stand on the command line. */
  private Optional<String> option(TomlSection root, String name, OptionSpec option) {
    if (option.typeInfo().isBoolean()) {
      return root.bool(name).map(String::valueOf);
    }
    String example =
        '"' + Optional.ofNullable(option.defaultValue()).orElse(option.paramLabel()) + '"';
    if (option.typeInfo().isMultiValue()) {
      List<String> items = root.list(name, "[" + example + "]", text -> checked(option, text));
      boolean arePaths = option.typeInfo().getAuxiliaryTypes()[0] == Path.class;
      return items.isEmpty()
          ? Optional.empty()
          : Optional.of(String.join(arePaths ? "\n" : ",", items));
    }
    Optional<String> text =
        isNumber(option) ? root.text(name, example) : root.string(name, example);
    text.ifPresent(
        value -> {
          try {
            checked(option, value);
          } catch (IllegalArgumentException e) {
            root.refuse(name, e.getMessage());
          }
        });
    return text;
  }

  /** 0o660 and 660 are different numbers in TOML, and both would be taken for the other one. */
  private static boolean isNumber(OptionSpec option) {
    return NUMBERS.contains(option.type()) && !option.paramLabel().equals("<OCTAL>");
  }

  /**
   * Has an option's own converter look at a value.
   *
   * @throws IllegalArgumentException saying what would be right
   */
  private static String checked(OptionSpec option, String text) {
    try {
      for (ITypeConverter<?> converter : option.converters()) {
        converter.convert(text);
      }
      return text;
    } catch (Exception e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  // ---- Limits ----

  private Limits limits(TomlSection section) {
    Limits usual = Limits.defaults();
    long answerSeconds = Answer.PATIENCE.toSeconds() + 1;
    Limits limits =
        new Limits(
            (int) within(section, "connections", 16, 1_000_000, usual.connections()),
            seconds(section, "to_send_request_s", 1, usual.toSendRequest()),
            seconds(section, "to_take_answer_s", answerSeconds, usual.toTakeAnswer()));
    section.refuseOthers(List.of());
    return limits;
  }

  private static Duration seconds(TomlSection section, String key, long min, Duration usual) {
    return Duration.ofSeconds(within(section, key, min, 86_400, usual.toSeconds()));
  }

  private static long within(TomlSection section, String key, long min, long max, long usual) {
    long value = section.number(key, String.valueOf(usual)).orElse(usual);
    if (value < min || value > max) {
      section.refuse(key, value + " is not from " + min + " to " + max);
      return usual;
    }
    return value;
  }
}
