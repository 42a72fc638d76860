package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.driver.DriverException;

/**
 * A call of AMD SMI that did not succeed; the message says in words what was done and what to do.
 */
public final class AmdSmiException extends DriverException {
  private static final long serialVersionUID = 1L;

  private final AmdSmiStatus status;

  /** What {@code function} returned. */
  AmdSmiException(AmdSmiFunction function, int code) {
    this(function, AmdSmiStatus.of(code), code);
  }

  private AmdSmiException(AmdSmiFunction function, AmdSmiStatus status, int code) {
    this(
        "%s: %s (%s: %s)"
            .formatted(
                function.action(), status.meaning(), function.symbol(), codeName(status, code)),
        status);
  }

  /** For what {@code function} answered with success and yet cannot be. */
  AmdSmiException(AmdSmiFunction function, String nonsense) {
    this(
        "%s: the driver answers with %s, which is no value; try again (%s)"
            .formatted(function.action(), nonsense, function.symbol()),
        AmdSmiStatus.UNKNOWN);
  }

  AmdSmiException(String message, AmdSmiStatus status) {
    super(message);
    this.status = status;
  }

  /**
   * For what is known to be refused without asking the driver.
   *
   * @param action what was asked for, for people
   */
  public static AmdSmiException refused(String action) {
    return new AmdSmiException(
        action + ": " + AmdSmiStatus.INVAL.meaning() + " (" + AmdSmiStatus.INVAL.amdName() + ")",
        AmdSmiStatus.INVAL);
  }

  /** For what this GPU cannot, as far as is known without asking the driver. */
  public static AmdSmiException notSupported(String message) {
    return new AmdSmiException(message, AmdSmiStatus.NOT_SUPPORTED);
  }

  /** For what is worth another try a little later. */
  public static AmdSmiException notYet(String message) {
    return new AmdSmiException(message, AmdSmiStatus.RETRY);
  }

  private static String codeName(AmdSmiStatus status, int code) {
    return code == status.code()
        ? status.amdName()
        : "AMDSMI_STATUS " + Integer.toUnsignedString(code);
  }

  /** What AMD SMI returned; never {@link AmdSmiStatus#SUCCESS}. */
  public AmdSmiStatus status() {
    return status;
  }

  @Override
  public Kind kind() {
    return status.kind();
  }

  @Override
  public boolean isLasting() {
    return kind() == Kind.NOT_SUPPORTED;
  }
}
