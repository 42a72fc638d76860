package dev.zeusd.testkit.nvml;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The library of {@link FakeNvml} as a file: where it is, and how to build it as another driver's.
 */
public final class FakeNvmlLibrary {
  /** All that tell how a GPU is doing; each may be missing. */
  public static final Set<String> TELEMETRY_FUNCTIONS =
      Set.of(
          "nvmlDeviceGetEnforcedPowerLimit",
          "nvmlDeviceGetTemperature",
          "nvmlDeviceGetTemperatureV",
          "nvmlDeviceGetClockInfo",
          "nvmlDeviceGetUtilizationRates",
          "nvmlDeviceGetMemoryInfo_v2",
          "nvmlDeviceGetCurrentClocksEventReasons",
          "nvmlDeviceGetCurrentClocksThrottleReasons",
          "nvmlDeviceGetPerformanceState");

  /** Some that drivers have not always had. */
  public static final Set<String> YOUNG_FUNCTIONS =
      Set.of(
          "nvmlDeviceGetFieldValues",
          "nvmlDeviceGetTotalEnergyConsumption",
          "nvmlDeviceSetMemoryLockedClocks",
          "nvmlDeviceResetMemoryLockedClocks",
          "nvmlDeviceGetMigMode",
          "nvmlDeviceGetMaxMigDeviceCount",
          "nvmlDeviceGetMigDeviceHandleByIndex",
          "nvmlDeviceGetGpuInstanceId",
          "nvmlDeviceGetComputeInstanceId",
          "nvmlDeviceSetPowerManagementLimit_v2");

  private static final String SONAME = "-Wl,-soname," + LibraryFolder.NAME;

  private FakeNvmlLibrary() {}

  /** {@return the folder that holds a fake libnvidia-ml.so.1 without a control file} */
  public static Path directory() {
    return LibraryFolder.shared();
  }

  /**
   * Builds the library as an old driver has it, into a folder.
   *
   * @param functions names of functions that the library lacks, as an old driver's does
   * @param folder where to put the library
   * @throws IllegalStateException without a C compiler
   */
  public static void buildWithout(Set<String> functions, Path folder) {
    List<String> options = new ArrayList<>(List.of(SONAME));
    functions.forEach(function -> options.add("-DWITHOUT_" + function));
    build(folder.resolve(LibraryFolder.NAME), options);
  }

  /**
   * The same of another version of the driver; see {@link FakeNvml#kernelNumber}.
   *
   * @param number of the driver that it belongs to
   * @param folder where to put the library
   */
  public static void buildNumber(int number, Path folder) {
    build(folder.resolve(LibraryFolder.NAME), List.of(SONAME, "-DNUMBER=" + number + "U"));
  }

  /**
   * Builds the library as a file, with these options of the C compiler.
   *
   * @param file the library to make
   * @param options of the C compiler
   */
  public static void build(Path file, List<String> options) {
    LibraryFolder.build(file, options);
  }
}
