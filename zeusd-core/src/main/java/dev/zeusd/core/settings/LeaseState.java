package dev.zeusd.core.settings;

import java.util.Locale;

/** How a lease is. */
public enum LeaseState {
  /** It ends when it is not renewed in time. */
  ACTIVE,
  /** Somebody keeps it, such as a stream that is open. */
  KEPT,
  /** The process that it was taken from has died, and its holder has not been heard of since. */
  ORPHANED,
  /** It has ended, but not all is as it was: that is tried again and again. */
  PENDING;

  /** {@return the name on the wire} */
  public String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }
}
