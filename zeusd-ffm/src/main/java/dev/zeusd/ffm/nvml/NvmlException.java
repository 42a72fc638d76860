package dev.zeusd.ffm.nvml;

/** An NVML call that did not succeed. */
public final class NvmlException extends Exception {
  private static final long serialVersionUID = 1L;

  private final NvmlReturn result;

  NvmlException(String function, NvmlReturn result, int code) {
    super(
        function
            + ": "
            + result.nvmlName()
            + (result == NvmlReturn.UNKNOWN ? " (" + code + ")" : ""));
    this.result = result;
  }

  NvmlException(String message, NvmlReturn result) {
    super(message);
    this.result = result;
  }

  /** What NVML returned; never {@link NvmlReturn#SUCCESS}. */
  public NvmlReturn result() {
    return result;
  }
}
