package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.driver.DriverException.Kind;

/**
 * The results of AMD SMI's calls ({@code amdsmi_status_t}), each in words.
 *
 * <p>The codes stand here once more, and a test compares them with the generated ones: those are
 * asked by name, and a result comes as a number.
 */
public enum AmdSmiStatus {
  SUCCESS(0, Kind.FAILED, "it worked"),
  INVAL(1, Kind.INVALID_ARGUMENT, "the driver does not accept this value"),
  NOT_SUPPORTED(2, Kind.NOT_SUPPORTED, "this GPU or its driver does not support it"),
  NOT_YET_IMPLEMENTED(
      3, Kind.NOT_SUPPORTED, "the installed ROCm does not have this function; a newer one may"),
  FAIL_LOAD_MODULE(4, Kind.FAILED, "a library that AMD SMI needs is missing; install ROCm anew"),
  FAIL_LOAD_SYMBOL(
      5,
      Kind.NOT_SUPPORTED,
      "the installed ROCm does not have this function; a newer one may, or install it anew"),
  DRM_ERROR(6, Kind.FAILED, "the kernel's graphics interface failed; dmesg may tell more"),
  API_FAILED(7, Kind.FAILED, "the driver failed; dmesg may tell more"),
  TIMEOUT(8, Kind.FAILED, "the driver took too long; try again"),
  RETRY(9, Kind.FAILED, "it did not work this time; try again"),
  NO_PERM(10, Kind.NO_PERMISSION, "zeusd lacks the privilege; run it as root"),
  INTERRUPT(11, Kind.FAILED, "it was interrupted; try again"),
  IO(12, Kind.FAILED, "reading or writing the driver's files failed; dmesg may tell more"),
  ADDRESS_FAULT(13, Kind.FAILED, "the library was given a bad address; please report this"),
  FILE_ERROR(14, Kind.FAILED, "a file of the driver cannot be used; dmesg may tell more"),
  OUT_OF_RESOURCES(15, Kind.FAILED, "the driver lacks memory or another resource; try again"),
  INTERNAL_EXCEPTION(16, Kind.FAILED, "AMD SMI failed inside; try again"),
  INPUT_OUT_OF_BOUNDS(17, Kind.INVALID_ARGUMENT, "the driver does not accept this value"),
  INIT_ERROR(18, Kind.FAILED, "AMD SMI cannot be initialised; is the amdgpu driver loaded?"),
  REFCOUNT_OVERFLOW(19, Kind.FAILED, "AMD SMI was initialised too often; restart zeusd"),
  BUSY(30, Kind.FAILED, "another call or program keeps AMD SMI busy; try again"),
  NOT_FOUND(31, Kind.GONE, "the driver does not list the GPU; amd-smi list shows those it does"),
  NOT_INIT(32, Kind.GONE, "AMD SMI is not initialised, as after a reload of the driver; try again"),
  NO_SLOT(33, Kind.FAILED, "AMD SMI has no room left; restart zeusd"),
  DRIVER_NOT_LOADED(
      34, Kind.GONE, "the amdgpu kernel driver is not loaded; load it, as by modprobe amdgpu"),
  NO_DATA(40, Kind.FAILED, "the driver has no data for it now; try again"),
  INSUFFICIENT_SIZE(
      41, Kind.FAILED, "the driver's answer is longer than zeusd has room for; please report this"),
  UNEXPECTED_SIZE(42, Kind.FAILED, "the driver tells more or less than AMD SMI expects; update it"),
  UNEXPECTED_DATA(43, Kind.FAILED, "the driver tells what AMD SMI does not expect; update it"),
  /** zeusd's own: no library was found. */
  LIBRARY_NOT_FOUND(-1, Kind.FAILED, "there is no library"),
  /** Every code that this list does not name. */
  UNKNOWN(-2, Kind.FAILED, "the driver failed and does not say why; dmesg may tell more");

  private static final AmdSmiStatus[] VALUES = values();

  private final int code;
  private final Kind kind;
  private final String meaning;

  AmdSmiStatus(int code, Kind kind, String meaning) {
    this.code = code;
    this.kind = kind;
    this.meaning = meaning;
  }

  /** The name in AMD's header, as users find it in the documentation of AMD SMI. */
  public String amdName() {
    return "AMDSMI_STATUS_" + name();
  }

  /** What it means, and what to do, for users. */
  public String meaning() {
    return meaning;
  }

  Kind kind() {
    return kind;
  }

  /** AMD SMI's number for it; negative if it has none. */
  int code() {
    return code;
  }

  static AmdSmiStatus of(int code) {
    for (AmdSmiStatus value : VALUES) {
      if (value.code == code && code >= 0) {
        return value;
      }
    }
    return UNKNOWN;
  }
}
