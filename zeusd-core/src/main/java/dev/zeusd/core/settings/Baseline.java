package dev.zeusd.core.settings;

import java.util.Map;
import java.util.Optional;

/**
 * What settings of GPUs are to be when nobody has a lease of them: they are set when the GPUs are
 * found and after their driver was loaded anew, and leases go back to them.
 *
 * @param values by setting
 */
public record Baseline(Map<Setting, SettingValue> values) {
  /** Takes a copy. */
  public Baseline {
    values = Map.copyOf(values);
    values.forEach(
        (setting, value) -> {
          if (setting.key() != value.key()) {
            throw new IllegalArgumentException(value + " for " + setting);
          }
        });
  }

  /** Nothing is asked for. */
  public static Baseline none() {
    return new Baseline(Map.of());
  }

  Optional<SettingValue> of(Setting setting) {
    return Optional.ofNullable(values.get(setting));
  }
}
