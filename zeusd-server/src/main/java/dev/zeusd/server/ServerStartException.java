package dev.zeusd.server;

/** A server that cannot start as configured; the message says why and what to do. */
public final class ServerStartException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * For users; names the culprit and the way out.
   *
   * @param message why, for people
   */
  public ServerStartException(String message) {
    super(message);
  }

  /**
   * As the other one, with what led to it.
   *
   * @param message why, for people
   * @param cause what it came from
   */
  public ServerStartException(String message, Throwable cause) {
    super(message, cause);
  }
}
