package dev.zeusd.core;

/** A node that cannot be opened as configured; the message says why and what to do. */
public final class NodeException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** With a message that says why and what to do. */
  public NodeException(String message) {
    this(message, null);
  }

  /** The same, and what led to it. */
  public NodeException(String message, Throwable cause) {
    super(message, cause);
  }
}
