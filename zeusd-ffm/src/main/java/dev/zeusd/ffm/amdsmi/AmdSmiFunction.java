package dev.zeusd.ffm.amdsmi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;

/**
 * The functions of AMD SMI that are called. Their descriptors stand here once more, and a test
 * compares them with jextract's, which the library's own calls do not use: those look for functions
 * in all that the process has loaded.
 */
enum AmdSmiFunction {
  INIT("amdsmi_init", "opening AMD SMI", JAVA_LONG),
  SHUT_DOWN("amdsmi_shut_down", "closing AMD SMI"),
  GET_LIB_VERSION("amdsmi_get_lib_version", "reading AMD SMI's version", ADDRESS),
  GET_SOCKETS("amdsmi_get_socket_handles", "looking for GPUs", ADDRESS, ADDRESS),
  GET_PROCESSORS("amdsmi_get_processor_handles", "looking for GPUs", ADDRESS, ADDRESS, ADDRESS),
  GET_ASIC_INFO("amdsmi_get_gpu_asic_info", "reading the name", ADDRESS, ADDRESS),
  GET_BDF("amdsmi_get_gpu_device_bdf", "reading the PCI address", ADDRESS, ADDRESS),
  GET_UUID("amdsmi_get_gpu_device_uuid", "reading the UUID", ADDRESS, ADDRESS, ADDRESS),
  GET_POWER("amdsmi_get_power_info", "reading the power", ADDRESS, ADDRESS),
  GET_ENERGY("amdsmi_get_energy_count", "reading the energy", ADDRESS, ADDRESS, ADDRESS, ADDRESS),
  GET_POWER_CAP("amdsmi_get_power_cap_info", "reading the power limit", ADDRESS, JAVA_INT, ADDRESS),
  SET_POWER_CAP("amdsmi_set_power_cap", "setting the power limit", ADDRESS, JAVA_INT, JAVA_LONG),
  GET_CLOCK("amdsmi_get_clock_info", "reading a clock", ADDRESS, JAVA_INT, ADDRESS),
  SET_CLOCK_LIMIT(
      "amdsmi_set_gpu_clk_limit", "locking a clock", ADDRESS, JAVA_INT, JAVA_INT, JAVA_LONG),
  SET_PERF_LEVEL("amdsmi_set_gpu_perf_level", "resetting the clocks", ADDRESS, JAVA_INT),
  GET_TEMPERATURE(
      "amdsmi_get_temp_metric", "reading a temperature", ADDRESS, JAVA_INT, JAVA_INT, ADDRESS),
  GET_ACTIVITY("amdsmi_get_gpu_activity", "reading the utilisation", ADDRESS, ADDRESS),
  GET_VRAM("amdsmi_get_gpu_vram_usage", "reading the use of the memory", ADDRESS, ADDRESS);

  private final String symbol;
  private final String action;
  private final FunctionDescriptor descriptor;

  AmdSmiFunction(String symbol, String action, MemoryLayout... arguments) {
    this.symbol = symbol;
    this.action = action;
    this.descriptor = FunctionDescriptor.of(JAVA_INT, arguments);
  }

  /** Its name in the library. */
  String symbol() {
    return symbol;
  }

  /** What a call of it does, for users. */
  String action() {
    return action;
  }

  /** Its arguments and its result, an {@code amdsmi_status_t}. */
  FunctionDescriptor descriptor() {
    return descriptor;
  }

  /** Its result as an exception, unless it is success. */
  void check(int result) throws AmdSmiException {
    if (result != AmdSmiStatus.SUCCESS.code()) {
      throw new AmdSmiException(this, result);
    }
  }
}
