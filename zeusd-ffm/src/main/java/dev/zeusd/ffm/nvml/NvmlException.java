package dev.zeusd.ffm.nvml;

/** An NVML call that did not succeed; the message says in words what was done and what to do. */
public final class NvmlException extends Exception {
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
}
