package dev.zeusd.client;

import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

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
  /**
   * One that has no name in the daemon, or a name that is unknown here: {@link
   * GpuTelemetry#throttleReasonNames}.
   */
  OTHER;

  static Set<ThrottleReason> ofNames(List<String> wireNames) {
    Set<ThrottleReason> reasons = EnumSet.noneOf(ThrottleReason.class);
    wireNames.forEach(
        name -> reasons.add(WireNames.find(ThrottleReason.class, name).orElse(OTHER)));
    return Collections.unmodifiableSet(reasons);
  }
}
