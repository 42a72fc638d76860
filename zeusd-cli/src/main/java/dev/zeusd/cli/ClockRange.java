package dev.zeusd.cli;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A range of clocks.
 *
 * @param minMhz the lowest, in MHz
 * @param maxMhz the highest, in MHz
 */
record ClockRange(int minMhz, int maxMhz) {
  /** "900-1400", or one clock that is both. */
  static final class Converter implements ITypeConverter<ClockRange> {
    private static final Pattern RANGE =
        Pattern.compile("(\\d{1,6})(?:-(\\d{1,6}))?(?: ?MHz)?", Pattern.CASE_INSENSITIVE);

    @Override
    public ClockRange convert(String text) {
      Matcher matcher = RANGE.matcher(text.strip());
      if (!matcher.matches()) {
        throw new TypeConversionException(
            "'" + text + "' is no range of clocks in MHz, such as 900-1400");
      }
      int min = Integer.parseInt(matcher.group(1));
      int max = matcher.group(2) == null ? min : Integer.parseInt(matcher.group(2));
      if (min > max) {
        throw new TypeConversionException("'" + text + "' begins above its end");
      }
      return new ClockRange(min, max);
    }
  }
}
