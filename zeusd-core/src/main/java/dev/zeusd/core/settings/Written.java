package dev.zeusd.core.settings;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What a daemon has written to a setting, to tell its own values from somebody else's.
 *
 * @param sure the last value that was written
 * @param asked a value that is being written, or was when the process died
 * @param maybe values whose writing failed since: the driver may have taken them even so
 */
record Written(
    Optional<SettingValue> sure, Optional<SettingValue> asked, List<SettingValue> maybe) {
  static final Written NOTHING = new Written(Optional.empty(), Optional.empty(), List.of());

  /** More failures in a row than this are not told apart. */
  private static final int MAX_MAYBE = 16;

  /** Drivers need not keep a limit to the milliwatt. */
  private static final long SAME_LIMIT_MW = 1000;

  /** Before {@code value} is written; a value that was asked for earlier has been written. */
  Written ask(SettingValue value) {
    Written before = asked.isPresent() ? succeeded() : this;
    return new Written(before.sure, Optional.of(value), before.maybe);
  }

  Written succeeded() {
    return new Written(asked.or(() -> sure), Optional.empty(), List.of());
  }

  /** The driver has refused it, but may have taken it even so. */
  Written failed() {
    return inDoubt();
  }

  /** Whether the value that was asked for was written is not known. */
  Written inDoubt() {
    if (asked.isEmpty()) {
      return this;
    }
    List<SettingValue> more = new ArrayList<>(maybe);
    more.remove(asked.get());
    more.add(asked.get());
    return new Written(
        sure,
        Optional.empty(),
        List.copyOf(more.subList(Math.max(0, more.size() - MAX_MAYBE), more.size())));
  }

  /** Whether {@code value}, as the GPU tells it, may be one of these. */
  boolean explains(SettingValue value) {
    return sure.filter(own -> isSame(own, value)).isPresent()
        || asked.filter(own -> isSame(own, value)).isPresent()
        || maybe.stream().anyMatch(own -> isSame(own, value));
  }

  private static boolean isSame(SettingValue own, SettingValue value) {
    if (own instanceof SettingValue.PowerLimit(long ownMw)
        && value instanceof SettingValue.PowerLimit(long valueMw)) {
      return isSameLimit(ownMw, valueMw);
    }
    if (own instanceof SettingValue.ModulePowerLimit(long ownMw)
        && value instanceof SettingValue.ModulePowerLimit(long valueMw)) {
      return isSameLimit(ownMw, valueMw);
    }
    return own.equals(value);
  }

  private static boolean isSameLimit(long ownMw, long valueMw) {
    return Math.abs(ownMw - valueMw) < SAME_LIMIT_MW;
  }
}
