package dev.zeusd.server;

/** A server that cannot start as configured; the message says why and what to do. */
public final class ServerStartException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** For users; names the culprit and the way out. */
  public ServerStartException(String message) {
    super(message);
  }

  /** As the other one, with what led to it. */
  public ServerStartException(String message, Throwable cause) {
    super(message, cause);
  }
}
