package dev.zeusd.ffm.driver;

/**
 * A call of a vendor's library that did not succeed; the message says in words what was done and
 * what to do.
 */
public abstract class DriverException extends Exception {
  private static final long serialVersionUID = 1L;

  /** What a failure means for who asked. */
  public enum Kind {
    /** The driver refuses the value. */
    INVALID_ARGUMENT,
    /** The device, or its driver, cannot do this at all. */
    NOT_SUPPORTED,
    /** The process lacks the privilege. */
    NO_PERMISSION,
    /** The library does not know, or does not reach, the device: another call will not, either. */
    GONE,
    /** Anything else. */
    FAILED
  }

  /** With a message for people. */
  protected DriverException(String message) {
    super(message);
  }

  /** What it means for who asked. */
  public abstract Kind kind();

  /** Whether the same question will never have another answer, as long as the driver runs. */
  public abstract boolean isLasting();
}
