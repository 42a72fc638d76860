package dev.zeusd.core.sampling;

import dev.zeusd.core.device.DeviceException;

/**
 * Says in the log, once each, that something fails and that it works again, however often it is
 * tried. For one thread at a time.
 */
final class FailureLog {
  private final System.Logger log;
  private final String name;
  private final String failure;
  private final String recovery;
  private boolean isFailing;

  /**
   * Of what works.
   *
   * @param name of the device
   * @param failure what it does when it fails, such as "reading power fails"
   * @param recovery what it does when it works again
   */
  FailureLog(System.Logger log, String name, String failure, String recovery) {
    this.log = log;
    this.name = name;
    this.failure = failure;
    this.recovery = recovery;
  }

  void failed(Throwable why) {
    if (!isFailing) {
      isFailing = true;
      log.log(
          System.Logger.Level.WARNING,
          "{0}: {1}, trying on: {2}",
          name,
          failure,
          why instanceof DeviceException ? why.getMessage() : why);
    }
  }

  void worked() {
    if (isFailing) {
      isFailing = false;
      log.log(System.Logger.Level.INFO, "{0}: {1}", name, recovery);
    }
  }

  /** The next failure is told, whatever was before. */
  void startAnew() {
    isFailing = false;
  }
}
