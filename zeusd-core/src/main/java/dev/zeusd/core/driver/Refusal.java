package dev.zeusd.core.driver;

import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.ffm.driver.DriverException;

/**
 * What to say of a value that a driver refuses: what was asked, and what is possible.
 *
 * @param setting its name, for people
 * @param min the value asked for, or its lower end
 * @param max the value asked for, or its upper end
 */
public record Refusal(String setting, long min, long max, String unit) {
  /** What can be set, both ends included, in the same unit. */
  public record Range(long min, long max) {
    /** As limits of the power. */
    public PowerLimitConstraints asPowerLimits() {
      return new PowerLimitConstraints(min, max);
    }
  }

  String text(Question<Range> possible, DriverException refused) {
    String inWords = refused.getMessage();
    try {
      return text(possible.ask()) + inWords.substring(inWords.lastIndexOf(" ("));
    } catch (DriverException e) {
      return inWords;
    }
  }

  private String text(Range possible) {
    boolean isPossible = min >= possible.min && max <= possible.max;
    return "%s %s %s is %s %s %s"
        .formatted(
            setting,
            min == max ? min : text(min, max),
            unit,
            isPossible ? "refused, although within" : "not within",
            text(possible.min, possible.max),
            unit);
  }

  private static String text(long min, long max) {
    return min + " to " + max;
  }
}
