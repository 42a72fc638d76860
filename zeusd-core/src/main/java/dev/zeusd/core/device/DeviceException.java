package dev.zeusd.core.device;

import dev.zeusd.core.NodeException;

/** Why a device did not do what it was asked; the message is for users. */
public abstract sealed class DeviceException extends NodeException {
  private static final long serialVersionUID = 1L;

  private DeviceException(String message, Throwable cause) {
    super(message, cause);
  }

  /** The device refuses the value. */
  public static final class InvalidArgument extends DeviceException {
    private static final long serialVersionUID = 1L;

    /**
     * With words for people.
     *
     * @param message what the device does not do, and why
     */
    public InvalidArgument(String message) {
      this(message, null);
    }

    /**
     * The same, and what led to it.
     *
     * @param message what the device does not do, and why
     * @param cause what the driver or the system has thrown
     */
    public InvalidArgument(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /** The device, or its driver, cannot do this at all. */
  public static final class NotSupported extends DeviceException {
    private static final long serialVersionUID = 1L;

    /**
     * With words for people.
     *
     * @param message what the device does not do, and why
     */
    public NotSupported(String message) {
      this(message, null);
    }

    /**
     * The same, and what led to it.
     *
     * @param message what the device does not do, and why
     * @param cause what the driver or the system has thrown
     */
    public NotSupported(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /** The process lacks the privilege. */
  public static final class NoPermission extends DeviceException {
    private static final long serialVersionUID = 1L;

    /**
     * With words for people.
     *
     * @param message what the device does not do, and why
     */
    public NoPermission(String message) {
      this(message, null);
    }

    /**
     * The same, and what led to it.
     *
     * @param message what the device does not do, and why
     * @param cause what the driver or the system has thrown
     */
    public NoPermission(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /** Too many calls wait for this device, or it is closed: worth trying again later. */
  public static final class Unavailable extends DeviceException {
    private static final long serialVersionUID = 1L;

    /**
     * With words for people.
     *
     * @param message what the device does not do, and why
     */
    public Unavailable(String message) {
      super(message, null);
    }
  }

  /** A lease of somebody else holds the setting. */
  public static final class HeldByLease extends DeviceException {
    private static final long serialVersionUID = 1L;

    /**
     * With words for people.
     *
     * @param message what the device does not do, and why
     */
    public HeldByLease(String message) {
      super(message, null);
    }
  }

  /** The lease that a setting was to be changed by has ended. */
  public static final class LeaseEnded extends DeviceException {
    private static final long serialVersionUID = 1L;

    /**
     * With words for people.
     *
     * @param message what the device does not do, and why
     */
    public LeaseEnded(String message) {
      super(message, null);
    }
  }

  /** Any other failure of the device or its driver. */
  public static final class Failed extends DeviceException {
    private static final long serialVersionUID = 1L;

    /**
     * With words for people.
     *
     * @param message what the device does not do, and why
     */
    public Failed(String message) {
      this(message, null);
    }

    /**
     * The same, and what led to it.
     *
     * @param message what the device does not do, and why
     * @param cause what the driver or the system has thrown
     */
    public Failed(String message, Throwable cause) {
      super(message, cause);
    }
  }
}
