package dev.zeusd.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleBinaryOperator;

/**
 * A figure of one server over the turns.
 *
 * @param values one for each turn, at least one
 */
record Series(List<Double> values) {
  Series {
    if (values.isEmpty()) {
      throw new IllegalArgumentException("a figure without a value");
    }
    values = List.copyOf(values);
  }

  /** The middle value, or the mean of the two middle ones. */
  double median() {
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    int middle = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(middle)
        : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
  }

  /** Turn by turn: so that what slows the machine down for a while slows both. */
  Series dividedBy(Series other) {
    return combine(other, (a, b) -> a / b);
  }

  /** Turn by turn, the greater one. */
  Series max(Series other) {
    return combine(other, Math::max);
  }

  private Series combine(Series other, DoubleBinaryOperator operator) {
    List<Double> combined = new ArrayList<>();
    for (int i = 0; i < values.size(); i++) {
      combined.add(operator.applyAsDouble(values.get(i), other.values.get(i)));
    }
    return new Series(combined);
  }

  /** The median, and in brackets the least and the greatest value, if there are several. */
  @Override
  public String toString() {
    String spread =
        values.size() == 1
            ? ""
            : " (%s–%s)"
                .formatted(number(Collections.min(values)), number(Collections.max(values)));
    return number(median()) + spread;
  }

  /** With three digits that count. */
  static String number(double value) {
    double size = Math.abs(value);
    int decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }
}
