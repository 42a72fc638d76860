package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;

/**
 * The functions of NVML that are called.
 *
 * <p>Their descriptors stand here once more, and a test compares them with jextract's: jextract's
 * own calls are bound to one library for the life of the process, which a driver that is upgraded
 * meanwhile outlives.
 */
enum NvmlFunction {
  INIT("nvmlInit_v2", "opening NVML"),
  SHUTDOWN("nvmlShutdown", "closing NVML"),
  GET_DRIVER_VERSION(
      "nvmlSystemGetDriverVersion", "reading the driver's version", ADDRESS, JAVA_INT),
  GET_COUNT("nvmlDeviceGetCount_v2", "counting the GPUs", ADDRESS),
  GET_HANDLE_BY_INDEX("nvmlDeviceGetHandleByIndex_v2", "looking for the GPU", JAVA_INT, ADDRESS),
  GET_NAME("nvmlDeviceGetName", "reading the name", ADDRESS, ADDRESS, JAVA_INT),
  GET_UUID("nvmlDeviceGetUUID", "reading the UUID", ADDRESS, ADDRESS, JAVA_INT),
  GET_PCI_INFO("nvmlDeviceGetPciInfo_v3", "reading the PCI address", ADDRESS, ADDRESS),
  GET_FIELD_VALUES("nvmlDeviceGetFieldValues", "reading the power", ADDRESS, JAVA_INT, ADDRESS),
  GET_POWER_USAGE("nvmlDeviceGetPowerUsage", "reading the power", ADDRESS, ADDRESS),
  GET_TOTAL_ENERGY("nvmlDeviceGetTotalEnergyConsumption", "reading the energy", ADDRESS, ADDRESS),
  GET_POWER_LIMIT("nvmlDeviceGetPowerManagementLimit", "reading the power limit", ADDRESS, ADDRESS),
  SET_POWER_LIMIT(
      "nvmlDeviceSetPowerManagementLimit", "setting the power limit", ADDRESS, JAVA_INT),
  SET_POWER_LIMIT_OF_SCOPE(
      "nvmlDeviceSetPowerManagementLimit_v2",
      "setting the power limit of the module",
      ADDRESS,
      ADDRESS),
  GET_POWER_LIMIT_CONSTRAINTS(
      "nvmlDeviceGetPowerManagementLimitConstraints",
      "reading the range of the power limit",
      ADDRESS,
      ADDRESS,
      ADDRESS),
  GET_DEFAULT_POWER_LIMIT(
      "nvmlDeviceGetPowerManagementDefaultLimit",
      "reading the default power limit",
      ADDRESS,
      ADDRESS),
  GET_PERSISTENCE_MODE(
      "nvmlDeviceGetPersistenceMode", "reading the persistence mode", ADDRESS, ADDRESS),
  SET_PERSISTENCE_MODE(
      "nvmlDeviceSetPersistenceMode", "setting the persistence mode", ADDRESS, JAVA_INT),
  SET_GPU_LOCKED_CLOCKS(
      "nvmlDeviceSetGpuLockedClocks", "locking the GPU clock", ADDRESS, JAVA_INT, JAVA_INT),
  RESET_GPU_LOCKED_CLOCKS("nvmlDeviceResetGpuLockedClocks", "resetting the GPU clock", ADDRESS),
  SET_MEM_LOCKED_CLOCKS(
      "nvmlDeviceSetMemoryLockedClocks", "locking the memory clock", ADDRESS, JAVA_INT, JAVA_INT),
  RESET_MEM_LOCKED_CLOCKS(
      "nvmlDeviceResetMemoryLockedClocks", "resetting the memory clock", ADDRESS),
  GET_SUPPORTED_MEMORY_CLOCKS(
      "nvmlDeviceGetSupportedMemoryClocks",
      "reading the memory clocks that there are",
      ADDRESS,
      ADDRESS,
      ADDRESS),
  GET_SUPPORTED_GRAPHICS_CLOCKS(
      "nvmlDeviceGetSupportedGraphicsClocks",
      "reading the GPU clocks that there are",
      ADDRESS,
      JAVA_INT,
      ADDRESS,
      ADDRESS),
  GET_ENFORCED_POWER_LIMIT(
      "nvmlDeviceGetEnforcedPowerLimit", "reading the enforced power limit", ADDRESS, ADDRESS),
  GET_TEMPERATURE(
      "nvmlDeviceGetTemperature", "reading the temperature", ADDRESS, JAVA_INT, ADDRESS),
  GET_TEMPERATURE_V("nvmlDeviceGetTemperatureV", "reading the temperature", ADDRESS, ADDRESS),
  GET_CLOCK("nvmlDeviceGetClockInfo", "reading a clock", ADDRESS, JAVA_INT, ADDRESS),
  GET_UTILIZATION("nvmlDeviceGetUtilizationRates", "reading the utilisation", ADDRESS, ADDRESS),
  GET_MEMORY("nvmlDeviceGetMemoryInfo_v2", "reading the use of the memory", ADDRESS, ADDRESS),
  GET_EVENT_REASONS(
      "nvmlDeviceGetCurrentClocksEventReasons",
      "reading why the clocks are not higher",
      ADDRESS,
      ADDRESS),
  GET_THROTTLE_REASONS(
      "nvmlDeviceGetCurrentClocksThrottleReasons",
      "reading why the clocks are not higher",
      ADDRESS,
      ADDRESS),
  GET_PERFORMANCE_STATE(
      "nvmlDeviceGetPerformanceState", "reading the performance state", ADDRESS, ADDRESS),
  GET_MIG_MODE("nvmlDeviceGetMigMode", "reading the MIG mode", ADDRESS, ADDRESS, ADDRESS),
  GET_MAX_MIG_DEVICE_COUNT(
      "nvmlDeviceGetMaxMigDeviceCount", "counting the MIG instances", ADDRESS, ADDRESS),
  GET_MIG_DEVICE_HANDLE(
      "nvmlDeviceGetMigDeviceHandleByIndex",
      "looking for a MIG instance",
      ADDRESS,
      JAVA_INT,
      ADDRESS),
  GET_GPU_INSTANCE_ID(
      "nvmlDeviceGetGpuInstanceId", "reading the id of a GPU instance", ADDRESS, ADDRESS),
  GET_COMPUTE_INSTANCE_ID(
      "nvmlDeviceGetComputeInstanceId", "reading the id of a compute instance", ADDRESS, ADDRESS);

  private final String symbol;
  private final String action;
  private final FunctionDescriptor descriptor;

  NvmlFunction(String symbol, String action, MemoryLayout... arguments) {
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

  /** Its arguments and its result, an {@code nvmlReturn_t}. */
  FunctionDescriptor descriptor() {
    return descriptor;
  }

  /** Its result as an exception, unless it is success. */
  void check(int result) throws NvmlException {
    if (result != NvmlReturn.SUCCESS.code()) {
      throw new NvmlException(this, result);
    }
  }
}
