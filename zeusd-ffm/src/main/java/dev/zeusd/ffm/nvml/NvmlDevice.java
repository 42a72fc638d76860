package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.zeusd.ffm.nvml.raw.Nvml;
import dev.zeusd.ffm.nvml.raw.nvmlFieldValue_t;
import dev.zeusd.ffm.nvml.raw.nvmlPciInfo_t;
import dev.zeusd.ffm.nvml.raw.nvmlValue_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * One GPU, by its NVML index.
 *
 * <p>For one thread at a time: its calls share a piece of native memory, so that reading power
 * allocates nothing. Errors of NVML come as {@link NvmlException}. NVML counts in {@code unsigned
 * int}; here all values are {@code long} and not negative, but for the energy counter.
 *
 * <p>After a reload of the driver the handle is got again by index, and the GPU is recognised by
 * its UUID, because indices may have changed.
 */
public final class NvmlDevice {
  /**
   * How long to leave NVML alone after a reset that did not help. It doubles up to the maximum: a
   * reset makes all other devices get new handles.
   */
  private static final long MIN_RESET_INTERVAL_NANOS = 1_000_000_000L;

  private static final long MAX_RESET_INTERVAL_NANOS = 10_000_000_000L;

  private final NvmlLibrary library;
  private final int index;
  private final CallGate.Caller caller = new CallGate.Caller();
  private final MemorySegment words = Arena.ofAuto().allocate(JAVA_LONG, 2);
  private final MemorySegment fieldValue = nvmlFieldValue_t.allocate(Arena.ofAuto());

  private MemorySegment handle = MemorySegment.NULL;
  private int handleGeneration = -1;
  private int calledGeneration;
  private volatile String uuid;
  private long resetIntervalNanos = MIN_RESET_INTERVAL_NANOS;
  private long lastResetNanos = System.nanoTime() - MIN_RESET_INTERVAL_NANOS;

  NvmlDevice(NvmlLibrary library, int index, String uuid) {
    this.library = library;
    this.index = index;
    this.uuid = uuid;
  }

  /** Product name, such as {@code NVIDIA H100 80GB HBM3}. */
  public String name() throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      int size = Nvml.NVML_DEVICE_NAME_V2_BUFFER_SIZE();
      MemorySegment text = call.allocate(size);
      run("nvmlDeviceGetName", device -> Nvml.nvmlDeviceGetName(device, text, size));
      return text.getString(0);
    }
  }

  /** {@code GPU-} and 36 characters, unique for the board. */
  public String uuid() throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      int size = Nvml.NVML_DEVICE_UUID_V2_BUFFER_SIZE();
      MemorySegment text = call.allocate(size);
      run("nvmlDeviceGetUUID", device -> Nvml.nvmlDeviceGetUUID(device, text, size));
      return text.getString(0);
    }
  }

  /** The same, as it is known without a call; empty if it is not. From any thread. */
  public String knownUuid() {
    return uuid;
  }

  /** Domain, bus and device as NVML counts them. */
  public PciAddress pciAddress() throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment pci = nvmlPciInfo_t.allocate(call);
      run("nvmlDeviceGetPciInfo_v3", device -> Nvml.nvmlDeviceGetPciInfo_v3(device, pci));
      return new PciAddress(
          Integer.toUnsignedLong(nvmlPciInfo_t.domain(pci)),
          nvmlPciInfo_t.bus(pci),
          nvmlPciInfo_t.device(pci));
    }
  }

  /** A place on the PCI bus. */
  public record PciAddress(long domain, int bus, int device) {}

  /** The power drawn at this moment, in mW ({@code NVML_FI_DEV_POWER_INSTANT}). */
  public long instantPowerMw() throws NvmlException {
    nvmlFieldValue_t.fieldId(fieldValue, Nvml.NVML_FI_DEV_POWER_INSTANT());
    nvmlFieldValue_t.scopeId(fieldValue, Nvml.NVML_POWER_SCOPE_GPU());
    run("nvmlDeviceGetFieldValues", this::getFieldValue);
    return unsigned(nvmlFieldValue_t.valueType(fieldValue), nvmlFieldValue_t.value(fieldValue));
  }

  private int getFieldValue(MemorySegment device) {
    int result = Nvml.nvmlDeviceGetFieldValues(device, 1, fieldValue);
    // The call can succeed while its only field did not.
    return result == Nvml.NVML_SUCCESS() ? nvmlFieldValue_t.nvmlReturn(fieldValue) : result;
  }

  private static long unsigned(int type, MemorySegment value) throws NvmlException {
    if (type == Nvml.NVML_VALUE_TYPE_UNSIGNED_INT()) {
      return Integer.toUnsignedLong(nvmlValue_t.uiVal(value));
    }
    if (type == Nvml.NVML_VALUE_TYPE_UNSIGNED_LONG()
        || type == Nvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG()
        || type == Nvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG()) {
      return nvmlValue_t.ullVal(value);
    }
    if (type == Nvml.NVML_VALUE_TYPE_SIGNED_INT()) {
      return nvmlValue_t.uiVal(value);
    }
    if (type == Nvml.NVML_VALUE_TYPE_UNSIGNED_SHORT()) {
      return Short.toUnsignedLong((short) nvmlValue_t.uiVal(value));
    }
    if (type == Nvml.NVML_VALUE_TYPE_DOUBLE()) {
      return Math.round(nvmlValue_t.dVal(value));
    }
    throw new NvmlException(
        "NVML_FI_DEV_POWER_INSTANT came with the unknown value type " + type, NvmlReturn.UNKNOWN);
  }

  /**
   * The power that {@code nvmlDeviceGetPowerUsage} reports, in mW: an average over a second on
   * Ampere and newer, the instant value on older GPUs.
   */
  public long powerUsageMw() throws NvmlException {
    return unsignedInt("nvmlDeviceGetPowerUsage", this::getPowerUsage);
  }

  private int getPowerUsage(MemorySegment device) {
    return Nvml.nvmlDeviceGetPowerUsage(device, words);
  }

  /** Energy since the driver was loaded, in mJ, as unsigned 64 bits. */
  public long totalEnergyMj() throws NvmlException {
    run(
        "nvmlDeviceGetTotalEnergyConsumption",
        device -> Nvml.nvmlDeviceGetTotalEnergyConsumption(device, words));
    return words.get(JAVA_LONG, 0);
  }

  /** The power limit that was set, in mW. */
  public long powerLimitMw() throws NvmlException {
    return unsignedInt(
        "nvmlDeviceGetPowerManagementLimit",
        device -> Nvml.nvmlDeviceGetPowerManagementLimit(device, words));
  }

  /** The lowest and highest limit that can be set, in mW. */
  public PowerLimits powerLimitsMw() throws NvmlException {
    run(
        "nvmlDeviceGetPowerManagementLimitConstraints",
        device ->
            Nvml.nvmlDeviceGetPowerManagementLimitConstraints(
                device, words, words.asSlice(JAVA_INT.byteSize())));
    return new PowerLimits(
        Integer.toUnsignedLong(words.getAtIndex(JAVA_INT, 0)),
        Integer.toUnsignedLong(words.getAtIndex(JAVA_INT, 1)));
  }

  /** A range of power limits, both ends included. */
  public record PowerLimits(long minMw, long maxMw) {}

  /** The limit that the driver sets at its start, in mW. */
  public long defaultPowerLimitMw() throws NvmlException {
    return unsignedInt(
        "nvmlDeviceGetPowerManagementDefaultLimit",
        device -> Nvml.nvmlDeviceGetPowerManagementDefaultLimit(device, words));
  }

  /** Whether the driver keeps the GPU initialised while nobody uses it. */
  public boolean persistenceMode() throws NvmlException {
    return unsignedInt(
            "nvmlDeviceGetPersistenceMode",
            device -> Nvml.nvmlDeviceGetPersistenceMode(device, words))
        == Nvml.NVML_FEATURE_ENABLED();
  }

  /** Sets the power limit, in mW (an {@code unsigned int}). Needs root. */
  public void setPowerLimitMw(long limitMw) throws NvmlException {
    run(
        "nvmlDeviceSetPowerManagementLimit",
        device -> Nvml.nvmlDeviceSetPowerManagementLimit(device, (int) limitMw));
  }

  /** Sets the persistence mode. Needs root. */
  public void setPersistenceMode(boolean enabled) throws NvmlException {
    int mode = enabled ? Nvml.NVML_FEATURE_ENABLED() : Nvml.NVML_FEATURE_DISABLED();
    run("nvmlDeviceSetPersistenceMode", device -> Nvml.nvmlDeviceSetPersistenceMode(device, mode));
    if (!enabled) {
      // NVIDIA's reference: on a GPU that is coherent with the CPU, this ends the handle.
      handleGeneration = -1;
    }
  }

  /** Locks the graphics clock to a range, in MHz ({@code unsigned int}s). Needs root. */
  public void setGpuLockedClocksMhz(long minMhz, long maxMhz) throws NvmlException {
    run(
        "nvmlDeviceSetGpuLockedClocks",
        device -> Nvml.nvmlDeviceSetGpuLockedClocks(device, (int) minMhz, (int) maxMhz));
  }

  /** Locks the memory clock to a range, in MHz ({@code unsigned int}s). Needs root. */
  public void setMemoryLockedClocksMhz(long minMhz, long maxMhz) throws NvmlException {
    run(
        "nvmlDeviceSetMemoryLockedClocks",
        device -> Nvml.nvmlDeviceSetMemoryLockedClocks(device, (int) minMhz, (int) maxMhz));
  }

  /** Gives the graphics clock back to the driver. Needs root. */
  public void resetGpuLockedClocks() throws NvmlException {
    run("nvmlDeviceResetGpuLockedClocks", Nvml::nvmlDeviceResetGpuLockedClocks);
  }

  /** Gives the memory clock back to the driver. Needs root. */
  public void resetMemoryLockedClocks() throws NvmlException {
    run("nvmlDeviceResetMemoryLockedClocks", Nvml::nvmlDeviceResetMemoryLockedClocks);
  }

  /** A call with the device's handle; gives NVML's result code. */
  private interface Call {
    int run(MemorySegment device);
  }

  private void run(String function, Call call) throws NvmlException {
    library.require(function);
    try {
      runInside(function, call);
    } catch (NvmlException e) {
      // What came of a handle that was outdated meanwhile says nothing about the device.
      boolean outdated = library.initialisations() != calledGeneration;
      if (!outdated && !(needsReset(e.result()) && resetUnlessJustDone(e.result()))) {
        throw e;
      }
      runInside(function, call);
    }
  }

  private void runInside(String function, Call call) throws NvmlException {
    library.gate().enter(caller);
    try {
      calledGeneration = library.initialisations();
      if (handleGeneration != calledGeneration) {
        findAgain();
      }
      NvmlLibrary.check(function, call.run(handle));
      resetIntervalNanos = MIN_RESET_INTERVAL_NANOS;
    } finally {
      library.gate().leave(caller);
    }
  }

  private static boolean needsReset(NvmlReturn result) {
    return switch (result) {
      case UNINITIALIZED, DRIVER_NOT_LOADED, GPU_IS_LOST, GPU_NOT_FOUND -> true;
      default -> false;
    };
  }

  private boolean resetUnlessJustDone(NvmlReturn seen) throws NvmlException {
    long now = System.nanoTime();
    if (now - lastResetNanos < resetIntervalNanos) {
      return false;
    }
    lastResetNanos = now;
    resetIntervalNanos = Math.min(2 * resetIntervalNanos, MAX_RESET_INTERVAL_NANOS);
    library.reset(calledGeneration, seen);
    // Also where nothing could be reset: NVML looks for the GPU when its handle is got.
    handleGeneration = -1;
    return true;
  }

  private void findAgain() throws NvmlException {
    if (uuid.isEmpty()) {
      MemorySegment found = library.handle(index);
      uuid = library.uuidOf(found);
      handle = found;
    } else {
      handle = findByUuid();
    }
    handleGeneration = calledGeneration;
  }

  /** Looks at the old index first; a GPU that does not answer does not hide those behind it. */
  private MemorySegment findByUuid() throws NvmlException {
    NvmlException failure =
        new NvmlException("the driver no longer lists the GPU " + uuid, NvmlReturn.GPU_NOT_FOUND);
    int count = library.countInside();
    for (int i = -1; i < count; i++) {
      int candidate = i < 0 ? index : i;
      if (candidate >= count) {
        continue;
      }
      try {
        MemorySegment found = library.handle(candidate);
        if (uuid.equals(library.uuidOf(found))) {
          return found;
        }
      } catch (NvmlException e) {
        // Most likely it is still this GPU's place.
        failure = candidate == index ? e : failure;
      }
    }
    throw failure;
  }

  private long unsignedInt(String function, Call call) throws NvmlException {
    run(function, call);
    return Integer.toUnsignedLong(words.get(JAVA_INT, 0));
  }
}
