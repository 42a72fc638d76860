package dev.zeusd.ffm.nvml;

/**
 * The results of NVML calls ({@code nvmlReturn_t}) that zeusd tells apart.
 *
 * <p>The codes stand here once more, and a test compares them with the generated ones: those can
 * only be asked while the library is loaded, and "not loaded" is one of the results.
 */
public enum NvmlReturn {
  SUCCESS(0),
  UNINITIALIZED(1),
  INVALID_ARGUMENT(2),
  NOT_SUPPORTED(3),
  NO_PERMISSION(4),
  NOT_FOUND(6),
  INSUFFICIENT_SIZE(7),
  INSUFFICIENT_POWER(8),
  DRIVER_NOT_LOADED(9),
  TIMEOUT(10),
  IRQ_ISSUE(11),
  LIBRARY_NOT_FOUND(12),
  FUNCTION_NOT_FOUND(13),
  CORRUPTED_INFOROM(14),
  GPU_IS_LOST(15),
  RESET_REQUIRED(16),
  OPERATING_SYSTEM(17),
  LIB_RM_VERSION_MISMATCH(18),
  IN_USE(19),
  MEMORY(20),
  NO_DATA(21),
  INSUFFICIENT_RESOURCES(23),
  FREQ_NOT_SUPPORTED(24),
  ARGUMENT_VERSION_MISMATCH(25),
  DEPRECATED(26),
  NOT_READY(27),
  GPU_NOT_FOUND(28),
  INVALID_STATE(29),
  /** NVML's own UNKNOWN, and every code that this list does not name. */
  UNKNOWN(999);

  private static final NvmlReturn[] VALUES = values();

  private final int code;

  NvmlReturn(int code) {
    this.code = code;
  }

  /** The name in NVIDIA's header, as users find it in the documentation of NVML. */
  public String nvmlName() {
    return this == SUCCESS ? "NVML_SUCCESS" : "NVML_ERROR_" + name();
  }

  /** NVML's number for it. */
  int code() {
    return code;
  }

  static NvmlReturn of(int code) {
    for (NvmlReturn value : VALUES) {
      if (value.code == code) {
        return value;
      }
    }
    return UNKNOWN;
  }
}
