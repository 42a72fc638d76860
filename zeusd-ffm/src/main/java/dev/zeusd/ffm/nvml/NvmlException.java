package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.driver.DriverException;

/** An NVML call that did not succeed; the message says in words what was done and what to do. */
public final class NvmlException extends DriverException {
  private static final long serialVersionUID = 1L;

  private final NvmlReturn result;

  /** What {@code function} returned. */
  NvmlException(NvmlFunction function, int code) {
    this(function, NvmlReturn.of(code), code);
  }

  private NvmlException(NvmlFunction function, NvmlReturn result, int code) {
    this(
        "%s: %s (%s: %s)"
            .formatted(
                function.action(), result.meaning(), function.symbol(), codeName(result, code)),
        result);
  }

  /** For what {@code function} answered with success and yet cannot be. */
  NvmlException(NvmlFunction function, String nonsense) {
    this(
        "%s: the driver answers with %s, which is no value; try again (%s)"
            .formatted(function.action(), nonsense, function.symbol()),
        NvmlReturn.UNKNOWN);
  }

  NvmlException(String message, NvmlReturn result) {
    super(message);
    this.result = result;
  }

  private static String codeName(NvmlReturn result, int code) {
    return code == result.code() ? result.nvmlName() : result.nvmlName() + " " + code;
  }

  /** What NVML returned; never {@link NvmlReturn#SUCCESS}. */
  public NvmlReturn result() {
    return result;
  }

  @Override
  public Kind kind() {
    return switch (result) {
      case INVALID_ARGUMENT, FREQ_NOT_SUPPORTED -> Kind.INVALID_ARGUMENT;
      case NOT_SUPPORTED, FUNCTION_NOT_FOUND -> Kind.NOT_SUPPORTED;
      case NO_PERMISSION -> Kind.NO_PERMISSION;
      default -> NvmlHandle.isGone(result) ? Kind.GONE : Kind.FAILED;
    };
  }

  @Override
  public boolean isLasting() {
    return switch (result) {
      case NOT_SUPPORTED, FUNCTION_NOT_FOUND, ARGUMENT_VERSION_MISMATCH, DEPRECATED -> true;
      default -> false;
    };
  }
}
