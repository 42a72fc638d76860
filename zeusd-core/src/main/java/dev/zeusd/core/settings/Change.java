package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import java.util.Optional;

/**
 * A setting that has been changed, or may be: what to put back, and how to tell whether it is still
 * ours to put back.
 *
 * @param before what to go back to
 * @param written what was written since
 * @param driverGeneration the GPU's when that was last written, or {@link #UNKNOWN}
 * @param by the lease that wrote last; empty if a baseline asks for it
 */
record Change(SettingValue before, Written written, int driverGeneration, Optional<Lease> by) {
  /** Written by an earlier process, whose count says nothing to this one. */
  static final int UNKNOWN = -1;

  Change with(Written values, Optional<Lease> lease) {
    return new Change(before, values, driverGeneration, lease);
  }

  /** The same, of a setting that goes back to something else. */
  Change backTo(SettingValue value) {
    return new Change(value, written, driverGeneration, by);
  }

  /** After the last write was taken by a driver of this generation. */
  Change succeeded(int generation) {
    return new Change(before, written.succeeded(), generation, by);
  }

  /** Something that a baseline asks for is put back whatever is there. */
  boolean isDemand() {
    return by.isEmpty();
  }

  /**
   * Puts the value back, on the GPU's thread.
   *
   * @return false if somebody else has set another one meanwhile
   * @throws DeviceException as the GPU's methods
   */
  boolean undo(Gpu gpu) {
    Optional<SettingValue> current = SettingValue.read(before.key(), gpu);
    if (current.equals(Optional.of(before))) {
      return true;
    }
    if (current.isPresent() && !isDemand() && !isOurs(current.get(), gpu)) {
      return false;
    }
    before.writeTo(gpu);
    return true;
  }

  /** Written by us, or what the driver has come back with after it forgot that. */
  private boolean isOurs(SettingValue current, Gpu gpu) {
    return written.explains(current)
        || driverGeneration != gpu.driverGeneration() && isDefault(current, gpu);
  }

  private static boolean isDefault(SettingValue current, Gpu gpu) {
    try {
      return current.equals(SettingValue.driverDefault(current.key(), gpu));
    } catch (DeviceException.NotSupported e) {
      return true;
    }
  }
}
