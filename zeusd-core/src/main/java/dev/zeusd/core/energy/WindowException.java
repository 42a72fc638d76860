package dev.zeusd.core.energy;

import dev.zeusd.core.NodeException;

/** Why an energy window cannot be had or used; the message is for users. */
public abstract sealed class WindowException extends NodeException {
  private static final long serialVersionUID = 1L;

  private WindowException(String message) {
    super(message);
  }

  /** There is no such window, or not any more. */
  public static final class Ended extends WindowException {
    private static final long serialVersionUID = 1L;

    Ended(String message) {
      super(message);
    }
  }

  /** So many are open that there is no room for another one of this owner. */
  public static final class TooMany extends WindowException {
    private static final long serialVersionUID = 1L;

    TooMany(String message) {
      super(message);
    }
  }

  /** None of the devices that were asked for is there. */
  public static final class NoDevices extends WindowException {
    private static final long serialVersionUID = 1L;

    NoDevices(String message) {
      super(message);
    }
  }
}
