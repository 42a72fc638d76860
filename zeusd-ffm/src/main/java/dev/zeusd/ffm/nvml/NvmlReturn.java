package dev.zeusd.ffm.nvml;

/**
 * The results of NVML calls ({@code nvmlReturn_t}), each in words.
 *
 * <p>The codes stand here once more, and a test compares them with the generated ones: those are
 * asked by name, and a result comes as a number.
 */
public enum NvmlReturn {
  SUCCESS(0, "it worked"),
  UNINITIALIZED(1, "NVML is not initialised, as after a reload of the driver; try again"),
  INVALID_ARGUMENT(2, "the driver does not accept this value"),
  NOT_SUPPORTED(3, "this GPU or its driver does not support it"),
  NO_PERMISSION(4, "zeusd lacks the privilege; run it as root, or with CAP_SYS_ADMIN"),
  ALREADY_INITIALIZED(5, "NVML is initialised already; try again"),
  NOT_FOUND(6, "the driver does not find what was asked for; a newer driver may know it"),
  INSUFFICIENT_SIZE(7, "the driver's answer is longer than zeusd has room for; please report this"),
  INSUFFICIENT_POWER(8, "the GPU lacks external power; check its power cables"),
  DRIVER_NOT_LOADED(9, "the NVIDIA kernel driver is not loaded; load it, as by modprobe nvidia"),
  TIMEOUT(10, "the driver took too long; try again"),
  IRQ_ISSUE(11, "the kernel has trouble with the GPU's interrupts; dmesg may tell more"),
  LIBRARY_NOT_FOUND(12, "a library of the NVIDIA driver is missing; install the driver anew"),
  FUNCTION_NOT_FOUND(
      13, "the installed NVIDIA driver does not have this function; a newer one may"),
  CORRUPTED_INFOROM(14, "the GPU's infoROM is damaged; ask its maker"),
  GPU_IS_LOST(
      15, "the GPU is lost, it does not answer on the bus; dmesg may tell why, a reboot may help"),
  RESET_REQUIRED(
      16, "the GPU has to be reset; have zeusd release the driver, then nvidia-smi --gpu-reset"),
  OPERATING_SYSTEM(
      17, "the operating system does not allow it; dmesg or the container's rules may tell why"),
  LIB_RM_VERSION_MISMATCH(
      18,
      "the NVIDIA driver was upgraded, its library and its kernel module differ in version;"
          + " restart zeusd, and if that does not help, reload the nvidia modules or reboot"),
  IN_USE(19, "another program keeps the GPU in use; try again when that has ended"),
  MEMORY(20, "the driver is out of memory; try again"),
  NO_DATA(21, "the driver has no data for it now; try again"),
  VGPU_ECC_NOT_SUPPORTED(22, "a virtual GPU cannot do this while ECC is on; switch ECC off"),
  INSUFFICIENT_RESOURCES(23, "the driver lacks resources for it; try again"),
  FREQ_NOT_SUPPORTED(
      24,
      "the GPU does not offer this clock; nvidia-smi -q -d SUPPORTED_CLOCKS lists those it has"),
  ARGUMENT_VERSION_MISMATCH(
      25, "the installed NVIDIA driver does not know this form of the call; a newer one may"),
  DEPRECATED(26, "the installed NVIDIA driver no longer has this function"),
  NOT_READY(27, "the driver is not ready yet; try again"),
  GPU_NOT_FOUND(28, "the driver does not list the GPU; nvidia-smi -L shows those that it does"),
  INVALID_STATE(29, "the GPU's present state does not allow it; try again"),
  RESET_TYPE_NOT_SUPPORTED(30, "this kind of reset is not offered"),
  /** NVML's own UNKNOWN, and every code that this list does not name. */
  UNKNOWN(999, "the driver failed and does not say why; dmesg may tell more");

  private static final NvmlReturn[] VALUES = values();

  private final int code;
  private final String meaning;

  NvmlReturn(int code, String meaning) {
    this.code = code;
    this.meaning = meaning;
  }

  /** The name in NVIDIA's header, as users find it in the documentation of NVML. */
  public String nvmlName() {
    return this == SUCCESS ? "NVML_SUCCESS" : "NVML_ERROR_" + name();
  }

  /** What it means, and what to do, for users. */
  public String meaning() {
    return meaning;
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
