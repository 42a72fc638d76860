package dev.zeusd.testkit.nvml;

import static dev.zeusd.testkit.control.ControlFile.LIBRARY_SLOT;

import dev.zeusd.testkit.control.ControlFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * NVIDIA's driver library with GPUs that a test makes up: what they draw, how they fail, how long
 * they take. The code under test loads it as it would the real one, and every call is counted.
 *
 * <p>{@link #load} is for a test; its {@link #directory} goes to {@code NodeConfig.withDriverDir},
 * or its {@link #environment} to another process. At first there are four GPUs, which draw 75, 85,
 * 95 and 105 W, with a power limit of 300 W, 100 to 400 being possible.
 *
 * <p>Times are {@link System#nanoTime()}, which is the library's clock. Thread-safe; settings count
 * from the library's next call on. Counters of 64 bits are unsigned.
 */
public final class FakeNvml {
  /** Most devices that there can be. */
  public static final int MAX_GPUS = 16;

  /** Most instances (MIG) that one device can have. */
  public static final int MAX_INSTANCES = 8;

  private static final long MAGIC = 0x4C4D564E454B4146L;
  private static final int VERSION = 2;

  /** The control file of a library that has it beside itself. */
  private static final String STATE = LibraryFolder.NAME + ".state";

  private static FakeNvml inProcess;

  /** Where there is a library for this one alone. */
  private final Optional<Path> ownDirectory;

  /** Its layout is the table at the top of {@code fake_nvml.c}. */
  private final ControlFile file;

  /** The library's functions; the ordinal is the function's number in the control file. */
  public enum Call {
    /** {@code nvmlInit_v2}. */
    INIT,
    /** {@code nvmlShutdown}. */
    SHUTDOWN,
    /** {@code nvmlSystemGetDriverVersion}. */
    GET_DRIVER_VERSION,
    /** {@code nvmlDeviceGetCount_v2}. */
    GET_COUNT,
    /** {@code nvmlDeviceGetHandleByIndex_v2}. */
    GET_HANDLE_BY_INDEX,
    /** {@code nvmlDeviceGetName}. */
    GET_NAME,
    /** {@code nvmlDeviceGetUUID}. */
    GET_UUID,
    /** {@code nvmlDeviceGetPciInfo_v3}. */
    GET_PCI_INFO,
    /** {@code nvmlDeviceGetFieldValues}. */
    GET_FIELD_VALUES,
    /** {@code nvmlDeviceGetPowerUsage}. */
    GET_POWER_USAGE,
    /** {@code nvmlDeviceGetTotalEnergyConsumption}. */
    GET_TOTAL_ENERGY,
    /** {@code nvmlDeviceGetPowerManagementLimit}. */
    GET_POWER_LIMIT,
    /** {@code nvmlDeviceSetPowerManagementLimit}. */
    SET_POWER_LIMIT,
    /** {@code nvmlDeviceGetPowerManagementLimitConstraints}. */
    GET_POWER_LIMIT_CONSTRAINTS,
    /** {@code nvmlDeviceGetPowerManagementDefaultLimit}. */
    GET_DEFAULT_POWER_LIMIT,
    /** {@code nvmlDeviceGetPersistenceMode}. */
    GET_PERSISTENCE_MODE,
    /** {@code nvmlDeviceSetPersistenceMode}. */
    SET_PERSISTENCE_MODE,
    /** {@code nvmlDeviceSetGpuLockedClocks}. */
    SET_GPU_LOCKED_CLOCKS,
    /** {@code nvmlDeviceResetGpuLockedClocks}. */
    RESET_GPU_LOCKED_CLOCKS,
    /** {@code nvmlDeviceSetMemoryLockedClocks}. */
    SET_MEM_LOCKED_CLOCKS,
    /** {@code nvmlDeviceResetMemoryLockedClocks}. */
    RESET_MEM_LOCKED_CLOCKS,
    /** {@code nvmlDeviceGetSupportedMemoryClocks}. */
    GET_SUPPORTED_MEM_CLOCKS,
    /** {@code nvmlDeviceGetSupportedGraphicsClocks}. */
    GET_SUPPORTED_GPU_CLOCKS,
    /** {@code nvmlDeviceGetEnforcedPowerLimit}. */
    GET_ENFORCED_POWER_LIMIT,
    /** {@code nvmlDeviceGetTemperature}. */
    GET_TEMPERATURE,
    /** {@code nvmlDeviceGetTemperatureV}. */
    GET_TEMPERATURE_V,
    /** {@code nvmlDeviceGetClockInfo}. */
    GET_CLOCK,
    /** {@code nvmlDeviceGetUtilizationRates}. */
    GET_UTILIZATION,
    /** {@code nvmlDeviceGetMemoryInfo_v2}. */
    GET_MEMORY,
    /** {@code nvmlDeviceGetCurrentClocksEventReasons}. */
    GET_EVENT_REASONS,
    /** {@code nvmlDeviceGetCurrentClocksThrottleReasons}, the old name of the former. */
    GET_THROTTLE_REASONS,
    /** {@code nvmlDeviceGetPerformanceState}. */
    GET_PERFORMANCE_STATE,
    /** {@code nvmlDeviceGetMigMode}. */
    GET_MIG_MODE,
    /** {@code nvmlDeviceGetMaxMigDeviceCount}. */
    GET_MAX_MIG_DEVICE_COUNT,
    /** {@code nvmlDeviceGetMigDeviceHandleByIndex}. */
    GET_MIG_DEVICE_HANDLE,
    /** {@code nvmlDeviceGetGpuInstanceId}. */
    GET_GPU_INSTANCE_ID,
    /** {@code nvmlDeviceGetComputeInstanceId}. */
    GET_COMPUTE_INSTANCE_ID,
    /** {@code nvmlDeviceSetPowerManagementLimit_v2}. */
    SET_POWER_LIMIT_OF_SCOPE
  }

  /** How a call that succeeds may be odd: a number in the control file. */
  public enum Oddity {
    /** It is not odd. */
    NORMAL,
    /** It says that it has worked, and leaves what it was to fill as it was. */
    WRITES_NOTHING,
    /** All bits of what it fills are 1. */
    ALL_BITS,
    /** Texts fill their buffers, without a zero. */
    NO_ZERO,
    /** It answers with {@link FakeGpu#oddBits}. */
    BITS
  }

  /**
   * A finished call.
   *
   * @param sequence counts all calls since the reset, in the order of their ends
   * @param startNs when it began, by {@link System#nanoTime}
   * @param endNs when it ended
   * @param device the index of the GPU; -1 if it was for none
   * @param call which function it was
   * @param a a setter's first argument
   * @param b a setter's second argument; of a reading call the answer: power in mW or energy in mJ
   * @param result the {@code nvmlReturn_t}
   * @param threadId of the calling thread, as the system numbers it
   */
  public record CallRecord(
      long sequence,
      long startNs,
      long endNs,
      int device,
      Call call,
      long a,
      long b,
      int result,
      int threadId) {}

  /**
   * Clocks in MHz; 0 and 0: not locked.
   *
   * @param minMhz the lowest clock
   * @param maxMhz the highest clock
   */
  public record Clocks(int minMhz, int maxMhz) {}

  private FakeNvml(Optional<Path> ownDirectory, Path path) {
    this.ownDirectory = ownDirectory;
    file = new ControlFile(path);
    reset();
  }

  /**
   * A driver of its own, in a folder that goes when the JVM ends. There may be any number of them.
   *
   * @return this
   * @throws IllegalStateException if there is no library for this machine in the testkit, and no C
   *     compiler either
   */
  public static FakeNvml load() {
    Path folder = LibraryFolder.newCopy();
    return new FakeNvml(Optional.of(folder), LibraryFolder.deletedOnExit(folder.resolve(STATE)));
  }

  /**
   * The library in this JVM, whose control file the environment names; always the same object.
   *
   * @return this
   */
  public static synchronized FakeNvml inProcess() {
    if (inProcess == null) {
      String path = System.getenv("FAKE_NVML_STATE");
      if (path == null || path.isEmpty()) {
        throw new IllegalStateException(
            "Set FAKE_NVML_STATE to the control file's path in the"
                + " environment of this JVM: an in-process test cannot set it later");
      }
      inProcess = create(Path.of(path));
    }
    return inProcess;
  }

  /**
   * For a child process, which must be started with {@link #environment()}. Resets the file.
   *
   * @param file the control file
   * @return this
   */
  public static FakeNvml create(Path file) {
    return new FakeNvml(Optional.empty(), file);
  }

  /** {@return the folder that holds the libnvidia-ml.so.1 of this one} */
  public Path directory() {
    return ownDirectory.orElseGet(FakeNvmlLibrary::directory);
  }

  /**
   * {@return what a child process needs in its environment to load the library and to share this
   * file}
   */
  public Map<String, String> environment() {
    return Map.of(
        "FAKE_NVML_STATE", file.path().toString(), "LD_LIBRARY_PATH", directory().toString());
  }

  /**
   * All settings as at first, all counters 0, no history. Also counts as a driver reload: what the
   * code under test has initialised or holds is stale, so nothing leaks from test to test.
   *
   * @return this
   */
  public synchronized FakeNvml reset() {
    file.setInt(16, (file.getInt(16) | 1) + 1);
    file.setInt(20, 0);
    file.clearFrom(24);
    file.setInt(8, VERSION);
    deviceCount(4);
    driverVersion("575.57.08");
    for (int i = 0; i < MAX_GPUS; i++) {
      // The library writes the same values where there is no control file.
      gpu(i)
          .name("NVIDIA Fake GPU")
          .uuid("GPU-fa4e0000-0000-4000-8000-%012x".formatted(i))
          .pci(0, 0x19 + 14 * i, 0)
          .powerMw(75_000 + 10_000L * i)
          .energyFromPower(0)
          .instantPowerType(1)
          .powerLimitMw(300_000)
          .powerLimits(100_000, 300_000, 400_000)
          .gpuClockRange(210, 1980)
          .memClockRange(405, 2619)
          .temperaturesC(40 + i, 48 + i)
          .clocksMhz(1980, 2619)
          .utilizationPct(75, 30)
          .memoryBytes(20L << 30, 80L << 30, 1L << 30)
          .modulePowerLimits(200_000, 900_000, 1_000_000)
          .modulePowerLimitMw(900_000);
      file.setInt(ControlFile.slot(i) + 204, 0x233010de);
      file.setInt(ControlFile.slot(i) + 208, 0x16c110de);
    }
    file.setLong(0, MAGIC);
    return this;
  }

  /**
   * 0 to 16, or nonsense. A handle of a device beyond it answers GPU_IS_LOST; of more than 16,
   * there are 16.
   *
   * @param count how many the driver tells of
   * @return this
   */
  public FakeNvml deviceCount(int count) {
    file.setInt(12, count);
    return this;
  }

  /**
   * The version that the driver says it has.
   *
   * @param version such as 550.54.15
   * @return this
   */
  public FakeNvml driverVersion(String version) {
    file.setText(64, 80, version);
    return this;
  }

  /**
   * True: every call fails with UNINITIALIZED, init with DRIVER_NOT_LOADED. False after that: init
   * works again, and handles from before are refused with INVALID_ARGUMENT. A device's settings,
   * energy included, stay as they are.
   *
   * @param unloaded whether the driver is gone
   * @return this
   */
  public synchronized FakeNvml driverUnloaded(boolean unloaded) {
    int epoch = file.getInt(16);
    if ((epoch & 1) != (unloaded ? 1 : 0)) {
      file.setInt(16, epoch + 1);
    }
    return this;
  }

  /**
   * As the kernel's driver after an upgrade: only the library of this number initialises.
   *
   * @param number of the kernel's driver
   * @return this
   */
  public synchronized FakeNvml kernelNumber(int number) {
    file.setInt(20, number);
    return driverUnloaded(true).driverUnloaded(false);
  }

  /**
   * How the call is odd, on all devices if it is a device's.
   *
   * @param call which function
   * @param oddity what it does
   * @return this
   */
  public FakeNvml oddity(Call call, Oddity oddity) {
    for (int slot = 0; slot <= LIBRARY_SLOT; slot++) {
      file.setLong(ControlFile.entry(slot, call) + 24, oddity.ordinal());
    }
    return this;
  }

  /**
   * What the call answers with, on all devices if it is a device's; 0: it works.
   *
   * @param call which function
   * @param nvmlReturn an {@code nvmlReturn_t}, such as 15 for GPU_IS_LOST
   * @return this
   */
  public FakeNvml error(Call call, int nvmlReturn) {
    return setEverywhere(call, 0, nvmlReturn);
  }

  /**
   * How long the call takes, on all devices if it is a device's.
   *
   * @param call which function
   * @param delay how long it takes
   * @return this
   */
  public FakeNvml delay(Call call, Duration delay) {
    return setEverywhere(call, 4, ControlFile.micros(delay));
  }

  /** {@return calls begun, of all functions, on all devices and none} */
  public long totalCalls() {
    return file.getLong(24);
  }

  /**
   * {@return calls of one function begun, on all devices and none}
   *
   * @param call which function
   */
  public long calls(Call call) {
    return IntStream.rangeClosed(0, LIBRARY_SLOT)
        .mapToLong(i -> file.getLong(ControlFile.entry(i, call) + 8))
        .sum();
  }

  /** {@return calls waiting now, on whatever device} */
  public int inFlight() {
    return file.getInt(ControlFile.slot(LIBRARY_SLOT) + 212);
  }

  /** {@return most calls in flight at a time, on whatever device} */
  public int maxInFlight() {
    return file.getInt(ControlFile.slot(LIBRARY_SLOT) + 216);
  }

  /** {@return the last 16384 finished calls since the reset, in the order of their ends} */
  public List<CallRecord> history() {
    var calls = new ArrayList<CallRecord>();
    long end = file.getLong(32);
    for (long s = Math.max(0, end - ControlFile.HISTORY_LENGTH); s < end; s++) {
      long at = ControlFile.HISTORY + s % ControlFile.HISTORY_LENGTH * ControlFile.HISTORY_ENTRY;
      if (file.getLong(at) != s + 1) {
        continue; // overwritten by now, or still being written
      }
      var call =
          new CallRecord(
              s,
              file.getLong(at + 8),
              file.getLong(at + 16),
              file.getInt(at + 24),
              Call.values()[file.getInt(at + 28)],
              file.getLong(at + 32),
              file.getLong(at + 40),
              file.getInt(at + 48),
              file.getInt(at + 52));
      if (file.getLong(at) == s + 1) {
        calls.add(call);
      }
    }
    return calls;
  }

  /**
   * {@return the device with this index, 0 to 15, whether the device count has it or not}
   *
   * @param index 0 to 15
   */
  public FakeGpu gpu(int index) {
    if (index < 0 || index >= MAX_GPUS) {
      throw new IndexOutOfBoundsException(index);
    }
    return new FakeGpu(file, index);
  }

  private FakeNvml setEverywhere(Call call, int offset, int value) {
    for (int slot = 0; slot <= LIBRARY_SLOT; slot++) {
      file.setInt(ControlFile.entry(slot, call) + offset, value);
    }
    return this;
  }
}
