package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.nvml.raw.Nvml;
import java.util.EnumSet;
import java.util.Set;

/** Why a GPU's clocks are not higher than they are ({@code nvmlClocksEventReasons}). */
public enum ClocksEventReason {
  GPU_IDLE(Nvml.nvmlClocksEventReasonGpuIdle()),
  APPLICATIONS_CLOCKS_SETTING(Nvml.nvmlClocksEventReasonApplicationsClocksSetting()),
  SW_POWER_CAP(Nvml.nvmlClocksEventReasonSwPowerCap()),
  HW_SLOWDOWN(Nvml.nvmlClocksThrottleReasonHwSlowdown()),
  SYNC_BOOST(Nvml.nvmlClocksEventReasonSyncBoost()),
  SW_THERMAL_SLOWDOWN(Nvml.nvmlClocksEventReasonSwThermalSlowdown()),
  HW_THERMAL_SLOWDOWN(Nvml.nvmlClocksThrottleReasonHwThermalSlowdown()),
  HW_POWER_BRAKE_SLOWDOWN(Nvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown()),
  DISPLAY_CLOCK_SETTING(Nvml.nvmlClocksEventReasonDisplayClockSetting()),
  BOARD_LIMIT(Nvml.nvmlClocksEventReasonBoardLimit()),
  RELIABILITY(Nvml.nvmlClocksEventReasonReliability()),
  /** One that a newer driver has. */
  OTHER(0);

  private final long bit;

  ClocksEventReason(long bit) {
    this.bit = bit;
  }

  static Set<ClocksEventReason> of(long bits) {
    Set<ClocksEventReason> reasons = EnumSet.noneOf(ClocksEventReason.class);
    long unknown = bits;
    for (ClocksEventReason reason : values()) {
      if ((bits & reason.bit) != 0) {
        reasons.add(reason);
        unknown &= ~reason.bit;
      }
    }
    if (unknown != 0) {
      reasons.add(OTHER);
    }
    return reasons;
  }
}
