package dev.zeusd.core;

/**
 * What was asked of a node, or of its devices, could not be done; the message says why and, if
 * there is something, what to do. All exceptions of this library are of this kind, but for
 * arguments that make no sense: of a device {@link dev.zeusd.core.device.DeviceException}, of a
 * lease {@link dev.zeusd.core.settings.LeaseException}, of an energy window {@link
 * dev.zeusd.core.energy.WindowException}, and otherwise, such as for a node that cannot be opened
 * as configured, this class itself.
 */
public class NodeException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * With a message that says why and what to do.
   *
   * @param message what went wrong, for people
   */
  public NodeException(String message) {
    this(message, null);
  }

  /**
   * The same, and what led to it.
   *
   * @param message what went wrong, for people
   * @param cause what it came from
   */
  public NodeException(String message, Throwable cause) {
    super(message, cause);
  }
}
