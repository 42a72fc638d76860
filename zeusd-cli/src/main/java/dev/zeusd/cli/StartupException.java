package dev.zeusd.cli;

/** Something in the surroundings that keeps the daemon from starting; the message is for users. */
final class StartupException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  StartupException(String message) {
    super(message);
  }
}
