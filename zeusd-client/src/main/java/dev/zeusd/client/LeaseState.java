package dev.zeusd.client;

/** How a lease is. */
public enum LeaseState {
  /** It ends when it is not renewed in time. */
  ACTIVE,
  /** Somebody keeps it, such as a stream that is open. */
  KEPT,
  /** The daemon was started anew, and its holder has not been heard of since. */
  ORPHANED,
  /** It has ended, but not all is as it was: that is tried again and again. */
  PENDING,
  /** A newer daemon has a name for it that is unknown here: {@link LeaseInfo#stateName}. */
  OTHER
}
