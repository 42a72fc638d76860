package dev.zeusd.core.settings;

/** What tests of other packages have to wait for. */
public final class LeaseLines {
  private LeaseLines() {}

  /** How many wait for leases of others to end. */
  public static int waiting(Leases leases) {
    return leases.waiting();
  }
}
