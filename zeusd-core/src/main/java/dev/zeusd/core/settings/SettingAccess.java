package dev.zeusd.core.settings;

import dev.zeusd.core.device.Gpu;
import java.util.List;

/**
 * A way to change settings: by a lease, without one where no lease holds them, or by leases that a
 * process has without knowing.
 */
public sealed interface SettingAccess permits Lease, Unleased, WatchedProcess.Access {
  /**
   * Whether these may be changed now, before anything is.
   *
   * @param wanted the settings that are to be written
   * @throws LeaseException if not
   */
  void check(List<Setting> wanted);

  /**
   * Changes a setting, on the GPU's thread.
   *
   * @param gpu the GPU, whose thread this is
   * @param value what to set
   * @throws dev.zeusd.core.device.DeviceException as the GPU; {@code HeldByLease} or {@code
   *     LeaseEnded} if it may not be changed by now
   */
  void write(Gpu gpu, SettingValue value);
}
