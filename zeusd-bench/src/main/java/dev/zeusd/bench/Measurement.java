package dev.zeusd.bench;

import java.util.HashMap;
import java.util.Map;

/** What the load generator found out in one run: its {@code key=value} pairs. */
final class Measurement {
  private final Map<String, Double> values = new HashMap<>();

  private Measurement() {}

  /**
   * Reads the line that the generator printed.
   *
   * @throws BenchException if it is none
   */
  static Measurement parse(String line) throws BenchException {
    Measurement measurement = new Measurement();
    for (String pair : line.strip().split(" ")) {
      int equals = pair.indexOf('=');
      try {
        measurement.values.put(
            pair.substring(0, equals), Double.parseDouble(pair.substring(equals + 1)));
      } catch (IndexOutOfBoundsException | NumberFormatException e) {
        throw new BenchException("the load generator printed: " + line, e);
      }
    }
    return measurement;
  }

  /** The value of {@code key}; load.c lists the keys of each mode. */
  double get(String key) {
    Double value = values.get(key);
    if (value == null) {
      throw new IllegalArgumentException("the load generator does not measure " + key);
    }
    return value;
  }
}
