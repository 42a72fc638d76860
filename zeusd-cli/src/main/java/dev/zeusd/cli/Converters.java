package dev.zeusd.cli;

import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.StreamFormat;
import dev.zeusd.server.WebAccess;
import java.net.InetSocketAddress;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Texts of the command line into values; a text that does not fit is told what would. */
final class Converters {
  private Converters() {}

  private static <T> T oneOf(T[] values, Function<T, String> name, String text) {
    return Arrays.stream(values)
        .filter(value -> name.apply(value).equals(text))
        .findFirst()
        .orElseThrow(
            () ->
                new TypeConversionException(
                    "'"
                        + text
                        + "' is none of "
                        + Arrays.stream(values).map(name).collect(Collectors.joining(", "))));
  }

  private static String lowerCase(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private static int number(String text, int min, int max) {
    try {
      int number = Integer.parseInt(text);
      if (number >= min && number <= max) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new TypeConversionException(
        "'" + text + "' is not a whole number from " + min + " to " + max);
  }

  static final class Mode implements ITypeConverter<ServeCommand.Mode> {
    @Override
    public ServeCommand.Mode convert(String text) {
      return oneOf(ServeCommand.Mode.values(), Converters::lowerCase, text);
    }
  }

  /** Several at once, which picocli adds to its list: its own splitting overlooks empty ones. */
  static final class Groups implements ITypeConverter<List<ApiGroup>> {
    @Override
    public List<ApiGroup> convert(String text) {
      return Arrays.stream(text.split(",", -1))
          .map(name -> oneOf(ApiGroup.values(), ApiGroup::wireName, name))
          .toList();
    }
  }

  /** Several at once, as for {@link Groups}. */
  static final class HostNames implements ITypeConverter<List<String>> {
    @Override
    public List<String> convert(String text) {
      return checked(text, names -> new WebAccess(names, Set.of()));
    }
  }

  /** Several at once, as for {@link Groups}. */
  static final class Origins implements ITypeConverter<List<String>> {
    @Override
    public List<String> convert(String text) {
      return checked(text, origins -> new WebAccess(Set.of(), origins));
    }
  }

  private static List<String> checked(String text, Consumer<Set<String>> check) {
    List<String> items = Arrays.asList(text.split(",", -1));
    try {
      check.accept(new LinkedHashSet<>(items));
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException(e.getMessage());
    }
    return items;
  }

  static final class Backend implements ITypeConverter<GpuBackend> {
    private static final GpuBackend[] OFFERED = {
      GpuBackend.AUTO, GpuBackend.NVML, GpuBackend.SIMULATED
    };

    @Override
    public GpuBackend convert(String text) {
      return oneOf(OFFERED, Converters::lowerCase, text);
    }
  }

  static final class Format implements ITypeConverter<StreamFormat> {
    @Override
    public StreamFormat convert(String text) {
      return oneOf(StreamFormat.values(), StreamFormat::wireName, text);
    }
  }

  static final class LogLevel implements ITypeConverter<Logging.LogLevel> {
    @Override
    public Logging.LogLevel convert(String text) {
      return oneOf(Logging.LogLevel.values(), Converters::lowerCase, text);
    }
  }

  static final class FilePath implements ITypeConverter<Path> {
    @Override
    public Path convert(String text) {
      try {
        return Path.of(text);
      } catch (InvalidPathException e) {
        throw new TypeConversionException("'" + text + "' cannot be a path: " + e.getReason());
      }
    }
  }

  static final class PollHz implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return number(text, 1, NodeConfig.MAX_POLL_HZ);
    }
  }

  static final class Workers implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return number(text, 1, 1024);
    }
  }

  /**
   * How long a token is good for.
   *
   * @param duration empty for a token that does not expire
   */
  record Lifetime(Optional<Duration> duration) {}

  static final class LifetimeConverter implements ITypeConverter<Lifetime> {
    private static final Duration LONGEST = Duration.ofDays(365_250);
    private static final Pattern PART = Pattern.compile("\\s*(\\d{1,9})\\s*([A-Za-z]+)\\s*");

    @Override
    public Lifetime convert(String text) {
      if (text.equals("never") || text.equals("0")) {
        return new Lifetime(Optional.empty());
      }
      Duration sum = Duration.ZERO;
      Matcher part = PART.matcher(text);
      while (part.lookingAt()) {
        Duration unit = unit(part.group(2), text);
        sum = sum.plus(unit.multipliedBy(Long.parseLong(part.group(1))));
        part.region(part.end(), text.length());
      }
      if (part.regionStart() != text.length() || sum.isZero()) {
        throw notADuration(text);
      }
      if (sum.compareTo(LONGEST) > 0) {
        throw new TypeConversionException("'" + text + "' is too long; use never");
      }
      return new Lifetime(Optional.of(sum));
    }

    private static Duration unit(String name, String text) {
      return switch (name) {
        case "s", "sec", "secs", "second", "seconds" -> Duration.ofSeconds(1);
        case "m", "min", "mins", "minute", "minutes" -> Duration.ofMinutes(1);
        case "h", "hr", "hrs", "hour", "hours" -> Duration.ofHours(1);
        case "d", "day", "days" -> Duration.ofDays(1);
        case "w", "week", "weeks" -> Duration.ofDays(7);
        // As long as a month and a year are on average: 365.25 days are a year.
        case "M", "month", "months" -> Duration.ofSeconds(2_629_800);
        case "y", "year", "years" -> Duration.ofSeconds(31_557_600);
        default -> throw notADuration(text);
      };
    }

    private static TypeConversionException notADuration(String text) {
      return new TypeConversionException(
          "'" + text + "' is not a duration; use for example 1h, 7d, \"1h 30m\", 2weeks or never");
    }
  }

  static final class OwnerId implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return number(text, 0, Integer.MAX_VALUE);
    }
  }

  static final class Octal implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      if (!text.matches("[0-7]{1,4}") || Integer.parseInt(text, 8) > 0777) {
        throw new TypeConversionException("'" + text + "' is not octal, 0 to 777");
      }
      return Integer.parseInt(text, 8);
    }
  }

  static final class BindAddress implements ITypeConverter<InetSocketAddress> {
    @Override
    public InetSocketAddress convert(String text) {
      int colon = text.lastIndexOf(':');
      String host = colon < 0 ? "" : text.substring(0, colon);
      boolean bracketed = host.startsWith("[") && host.endsWith("]");
      if (host.isEmpty() || host.contains(":") && !bracketed) {
        throw new TypeConversionException(
            "'" + text + "' is not HOST:PORT, such as 127.0.0.1:4938 or [::1]:4938");
      }
      int port = number(text.substring(colon + 1), 0, 65535);
      InetSocketAddress address =
          new InetSocketAddress(bracketed ? host.substring(1, host.length() - 1) : host, port);
      if (address.isUnresolved()) {
        throw new TypeConversionException("the host '" + host + "' is unknown");
      }
      return address;
    }
  }
}
