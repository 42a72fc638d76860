package dev.zeusd.core.device;

import java.util.Locale;

/** Why a GPU's clocks are not higher than they are. */
public enum ThrottleReason {
  /** Nothing runs; no fault. */
  GPU_IDLE,
  /** Somebody has set clocks. */
  APPLICATIONS_CLOCKS_SETTING,
  /** The power limit. */
  SW_POWER_CAP,
  /** The hardware has at least halved the clocks: heat, the power supply, or a surge. */
  HW_SLOWDOWN,
  /** Kept at the clock of other GPUs of a group. */
  SYNC_BOOST,
  /** The driver lowers the clocks, since the GPU or its memory is too hot. */
  SW_THERMAL_SLOWDOWN,
  /** The hardware does, for the same reason. */
  HW_THERMAL_SLOWDOWN,
  /** The machine's power supply asks for it. */
  HW_POWER_BRAKE_SLOWDOWN,
  /** The clocks that a display needs. */
  DISPLAY_CLOCK_SETTING,
  /** The board's maker has set a limit. */
  BOARD_LIMIT,
  /** The voltage may not go higher. */
  RELIABILITY,
  /** The driver tells one that has no name here. */
  OTHER;

  /** {@return the name on the wire, such as {@code sw_power_cap}} */
  public String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }
}
