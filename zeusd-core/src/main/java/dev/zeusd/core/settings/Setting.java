package dev.zeusd.core.settings;

import java.util.Comparator;
import java.util.Objects;

/**
 * One thing that can be set on one GPU.
 *
 * @param gpuUuid as the driver prints it: the same after a restart and a reload of the driver,
 *     which an index need not be
 * @param key which setting
 */
public record Setting(String gpuUuid, SettingKey key) implements Comparable<Setting> {
  private static final Comparator<Setting> ORDER =
      Comparator.comparing(Setting::gpuUuid).thenComparing(Setting::key);

  /** Refuses null. */
  public Setting {
    Objects.requireNonNull(gpuUuid);
    Objects.requireNonNull(key);
  }

  /**
   * By GPU, and then in the order in which settings are put back.
   *
   * @param other another setting
   * @return as {@link Comparable#compareTo} has it
   */
  @Override
  public int compareTo(Setting other) {
    return ORDER.compare(this, other);
  }
}
