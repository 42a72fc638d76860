package dev.zeusd.core.settings;

import java.util.Collection;
import java.util.Optional;

/**
 * Is told what becomes of leases and settings without a request, such as for a log of who has
 * changed what. Called on threads of devices and of leases, and under no lock: it must neither wait
 * nor throw.
 */
public interface LeaseObserver {
  /** Takes no notice. */
  LeaseObserver NONE = new LeaseObserver() {};

  /**
   * Tells all of {@code others}, those that come later included.
   *
   * @param others those to tell
   * @return one who tells all of them
   */
  static LeaseObserver ofAll(Collection<LeaseObserver> others) {
    return new LeaseObserver() {
      @Override
      public void ended(Lease lease, String why) {
        others.forEach(each -> each.ended(lease, why));
      }

      @Override
      public void restored(
          Setting setting, SettingValue value, Optional<Lease> by, Restored result) {
        others.forEach(each -> each.restored(setting, value, by, result));
      }
    };
  }

  /**
   * A lease has ended.
   *
   * @param lease the lease
   * @param why in words, such as "expired"
   */
  default void ended(Lease lease, String why) {}

  /**
   * A setting was put back, or set to what a baseline asks for; or that was tried, and came to
   * something else than the time before.
   *
   * @param setting of which GPU and key
   * @param value what it was to be
   * @param by the lease that had changed it; empty for a baseline
   * @param result what came of it
   */
  default void restored(Setting setting, SettingValue value, Optional<Lease> by, Restored result) {}
}
