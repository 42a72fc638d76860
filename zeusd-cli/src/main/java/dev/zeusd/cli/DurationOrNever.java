package dev.zeusd.cli;

import dev.zeusd.core.NodeConfig;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * How long a token is good for, an idle driver or a history is kept: one or more numbers with
 * units, as in "1h 30m" or "1.5d".
 *
 * @param duration at least a second; empty for never
 */
record DurationOrNever(Optional<Duration> duration) {
  private static final BigDecimal LONGEST_NANOS = nanos(Duration.ofDays(365_250));
  private static final BigDecimal SHORTEST_NANOS = nanos(Duration.ofSeconds(1));
  private static final Pattern PART =
      Pattern.compile("\\s*(\\d{1,12}(?:\\.\\d{1,9})?|\\.\\d{1,9})\\s*([A-Za-zµμ]+)\\s*");
  private static final Pattern NUMBER = Pattern.compile("\\s*[\\d.]+\\s*");

  private static BigDecimal nanos(Duration duration) {
    return BigDecimal.valueOf(duration.getSeconds()).movePointRight(9);
  }

  /** Of a time for which power can be kept. */
  static final class OfHistory implements ITypeConverter<DurationOrNever> {
    @Override
    public DurationOrNever convert(String text) {
      DurationOrNever length = new Converter().convert(text);
      if (length.duration.filter(each -> each.compareTo(NodeConfig.MAX_HISTORY) > 0).isPresent()) {
        throw Converter.refused(
            text, "is more than " + NodeConfig.MAX_HISTORY.toDays() + "d, which is the most");
      }
      return length;
    }
  }

  static final class Converter implements ITypeConverter<DurationOrNever> {
    @Override
    public DurationOrNever convert(String text) {
      if (text.equalsIgnoreCase("never") || text.equals("0")) {
        return new DurationOrNever(Optional.empty());
      }
      BigDecimal sum = BigDecimal.ZERO;
      Matcher part = PART.matcher(text);
      while (part.lookingAt()) {
        sum = sum.add(new BigDecimal(part.group(1)).multiply(nanosOf(part.group(2), text)));
        part.region(part.end(), text.length());
      }
      if (part.regionStart() != text.length() || text.isEmpty()) {
        throw notADuration(text);
      }
      if (sum.compareTo(SHORTEST_NANOS) < 0) {
        throw refused(text, "is less than a second, which is too short");
      }
      if (sum.compareTo(LONGEST_NANOS) > 0) {
        throw refused(text, "is more than a thousand years; use never");
      }
      return new DurationOrNever(Optional.of(toDuration(sum)));
    }

    private static Duration toDuration(BigDecimal nanos) {
      BigDecimal seconds = nanos.movePointLeft(9).setScale(0, RoundingMode.FLOOR);
      return Duration.ofSeconds(
          seconds.longValueExact(), nanos.subtract(seconds.movePointRight(9)).longValue());
    }

    private static BigDecimal nanosOf(String unit, String text) {
      if (unit.equals("M")) {
        throw refused(
            text, "says M, which is minutes to some and months to others; use min or month");
      }
      return switch (unit.toLowerCase(Locale.ROOT)) {
        case "ns", "nsec", "nsecs", "nanosecond", "nanoseconds" -> BigDecimal.ONE;
        case "us", "µs", "μs", "usec", "usecs", "microsecond", "microseconds" ->
            BigDecimal.valueOf(1_000);
        case "ms", "msec", "msecs", "millisecond", "milliseconds" -> BigDecimal.valueOf(1_000_000);
        case "s", "sec", "secs", "second", "seconds" -> nanos(Duration.ofSeconds(1));
        case "m", "min", "mins", "minute", "minutes" -> nanos(Duration.ofMinutes(1));
        case "h", "hr", "hrs", "hour", "hours" -> nanos(Duration.ofHours(1));
        case "d", "day", "days" -> nanos(Duration.ofDays(1));
        case "w", "wk", "wks", "week", "weeks" -> nanos(Duration.ofDays(7));
        // As long as a month and a year are on average: 365.25 days are a year.
        case "mo", "mos", "mon", "mth", "month", "months" -> nanos(Duration.ofSeconds(2_629_800));
        case "y", "yr", "yrs", "year", "years" -> nanos(Duration.ofSeconds(31_557_600));
        default -> throw notADuration(text);
      };
    }

    private static TypeConversionException notADuration(String text) {
      return refused(
          text,
          (NUMBER.matcher(text).matches() ? "has no unit" : "is not a duration")
              + "; use for example 1h, 7d, \"1h 30m\", 1.5h, 2weeks or never");
    }

    private static TypeConversionException refused(String text, String why) {
      return new TypeConversionException("'" + text + "' " + why);
    }
  }
}
