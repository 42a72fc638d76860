package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.zeusd.ffm.nvml.raw.Nvml;
import dev.zeusd.ffm.nvml.raw.nvmlPciInfo_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * One GPU, by its NVML index.
 *
 * <p>For one thread at a time: its calls share a piece of native memory, so that reading power
 * allocates nothing. Errors of NVML come as {@link NvmlException}, and so does what the driver
 * leaves untouched and, but for the energy, what has all bits set. NVML counts in {@code unsigned
 * int}; here all values are {@code long} and not negative, but for the energy counter.
 */
public final class NvmlDevice {
  private static final int MAX_CLOCKS = 1024;

  /** No energy that a counter shows by itself. */
  private static final long UNTOUCHED = 0x5EED_5EED_5EED_5EEDL;

  private final NvmlPlace place;
  private final NvmlHandle handle;
  private final MemorySegment words = Arena.ofAuto().allocate(JAVA_LONG, 2);
  private final PowerField power = new PowerField();
  private final NvmlSensors sensors;
  private final NvmlModule module;
  private final NvmlMig mig;

  NvmlDevice(NvmlPlace place, NvmlHandle handle) {
    this.place = place;
    this.handle = handle;
    this.sensors = new NvmlSensors(handle);
    this.module = new NvmlModule(handle);
    this.mig = new NvmlMig(handle);
  }

  // ---- What it is ----

  /** Product name, such as {@code NVIDIA H100 80GB HBM3}. */
  public String name() throws NvmlException {
    return text(NvmlFunction.GET_NAME, Nvml.NVML_DEVICE_NAME_V2_BUFFER_SIZE());
  }

  /** {@code GPU-} and 36 characters, unique for the board. */
  public String uuid() throws NvmlException {
    String told = text(NvmlFunction.GET_UUID, Nvml.NVML_DEVICE_UUID_V2_BUFFER_SIZE());
    place.learn(told);
    return told;
  }

  private String text(NvmlFunction function, int size) throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment text = call.allocate(size);
      handle.run(function, (calls, device) -> calls.call(function, device, text, size));
      return NvmlText.read(function, text);
    }
  }

  /** The UUID as it is known without a call; empty if it is not. From any thread. */
  public String knownUuid() {
    return place.uuid();
  }

  /** The index that NVML has it at now, which may be another one after a reload of the driver. */
  public int index() throws NvmlException {
    // Whoever answers was looked for.
    name();
    return place.index();
  }

  /** Domain, bus and device as NVML counts them. */
  public PciAddress pciAddress() throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment pci = PciAddress.untouched(call);
      handle.run(
          NvmlFunction.GET_PCI_INFO,
          (calls, device) -> calls.call(NvmlFunction.GET_PCI_INFO, device, pci));
      PciAddress address = PciAddress.of(pci);
      place.learn(address);
      return address;
    }
  }

  /** A place on the PCI bus. */
  public record PciAddress(long domain, int bus, int device) {
    static MemorySegment untouched(Arena arena) {
      return nvmlPciInfo_t.allocate(arena).fill((byte) -1);
    }

    static PciAddress of(MemorySegment pci) throws NvmlException {
      int bus = nvmlPciInfo_t.bus(pci);
      int device = nvmlPciInfo_t.device(pci);
      if ((bus & ~0xff) != 0 || (device & ~0x1f) != 0) {
        throw new NvmlException(
            NvmlFunction.GET_PCI_INFO,
            "bus %s, device %s"
                .formatted(Integer.toUnsignedString(bus), Integer.toUnsignedString(device)));
      }
      return new PciAddress(Integer.toUnsignedLong(nvmlPciInfo_t.domain(pci)), bus, device);
    }
  }

  // ---- Power and energy ----

  /** The power that the GPU draws at this moment, in mW ({@code NVML_FI_DEV_POWER_INSTANT}). */
  public long instantPowerMw() throws NvmlException {
    handle.run(NvmlFunction.GET_FIELD_VALUES, this::askForGpuPower);
    return power.powerMw();
  }

  private int askForGpuPower(NvmlCalls calls, MemorySegment device) throws NvmlException {
    return power.ask(calls, device, Nvml.NVML_FI_DEV_POWER_INSTANT(), Nvml.NVML_POWER_SCOPE_GPU());
  }

  /**
   * The power that {@code nvmlDeviceGetPowerUsage} reports, in mW: an average over a second on
   * Ampere and newer, the instant value on older GPUs.
   */
  public long powerUsageMw() throws NvmlException {
    return PowerField.plausible(NvmlFunction.GET_POWER_USAGE, number(NvmlFunction.GET_POWER_USAGE));
  }

  /** Energy since the driver was loaded, in mJ, as unsigned 64 bits. */
  public long totalEnergyMj() throws NvmlException {
    words.set(JAVA_LONG, 0, UNTOUCHED);
    handle.run(
        NvmlFunction.GET_TOTAL_ENERGY,
        (calls, device) -> calls.call(NvmlFunction.GET_TOTAL_ENERGY, device, words));
    long energyMj = words.get(JAVA_LONG, 0);
    if (energyMj == UNTOUCHED) {
      throw new NvmlException(NvmlFunction.GET_TOTAL_ENERGY, "nothing");
    }
    return energyMj;
  }

  /** How it is doing. */
  public NvmlSensors sensors() {
    return sensors;
  }

  /** The module that carries it, if there is one. */
  public NvmlModule module() {
    return module;
  }

  /** What it is partitioned into. */
  public NvmlMig mig() {
    return mig;
  }

  // ---- Settings ----

  /** The power limit that was set, in mW. */
  public long powerLimitMw() throws NvmlException {
    return number(NvmlFunction.GET_POWER_LIMIT);
  }

  /** The lowest and highest limit that can be set, in mW. */
  public Range powerLimitsMw() throws NvmlException {
    words.set(JAVA_LONG, 0, -1);
    NvmlFunction function = NvmlFunction.GET_POWER_LIMIT_CONSTRAINTS;
    MemorySegment second = words.asSlice(JAVA_INT.byteSize());
    handle.run(function, (calls, device) -> calls.call(function, device, words, second));
    return new Range(toldWord(function, 0), toldWord(function, 1));
  }

  /** A range of what can be set, both ends included. */
  public record Range(long min, long max) {}

  /** The limit that the driver sets at its start, in mW. */
  public long defaultPowerLimitMw() throws NvmlException {
    return number(NvmlFunction.GET_DEFAULT_POWER_LIMIT);
  }

  /** Whether the driver keeps the GPU initialised while nobody uses it. */
  public boolean persistenceMode() throws NvmlException {
    return number(NvmlFunction.GET_PERSISTENCE_MODE) == Nvml.NVML_FEATURE_ENABLED();
  }

  /** Sets the power limit, in mW (an {@code unsigned int}). Needs root. */
  public void setPowerLimitMw(long limitMw) throws NvmlException {
    handle.run(
        NvmlFunction.SET_POWER_LIMIT,
        (calls, device) -> calls.call(NvmlFunction.SET_POWER_LIMIT, device, (int) limitMw));
  }

  /** Sets the persistence mode. Needs root. */
  public void setPersistenceMode(boolean enabled) throws NvmlException {
    int mode = enabled ? Nvml.NVML_FEATURE_ENABLED() : Nvml.NVML_FEATURE_DISABLED();
    handle.run(
        NvmlFunction.SET_PERSISTENCE_MODE,
        (calls, device) -> calls.call(NvmlFunction.SET_PERSISTENCE_MODE, device, mode));
    if (!enabled) {
      // NVIDIA's reference: on a GPU that is coherent with the CPU, this ends the handle.
      handle.renew();
    }
  }

  /** Locks the graphics clock to a range, in MHz ({@code unsigned int}s). Needs root. */
  public void setGpuLockedClocksMhz(long minMhz, long maxMhz) throws NvmlException {
    lockClocks(NvmlFunction.SET_GPU_LOCKED_CLOCKS, minMhz, maxMhz);
  }

  /** Locks the memory clock to a range, in MHz ({@code unsigned int}s). Needs root. */
  public void setMemoryLockedClocksMhz(long minMhz, long maxMhz) throws NvmlException {
    lockClocks(NvmlFunction.SET_MEM_LOCKED_CLOCKS, minMhz, maxMhz);
  }

  private void lockClocks(NvmlFunction function, long minMhz, long maxMhz) throws NvmlException {
    handle.run(
        function, (calls, device) -> calls.call(function, device, (int) minMhz, (int) maxMhz));
  }

  /** Gives the graphics clock back to the driver. Needs root. */
  public void resetGpuLockedClocks() throws NvmlException {
    handle.run(
        NvmlFunction.RESET_GPU_LOCKED_CLOCKS,
        (calls, device) -> calls.call(NvmlFunction.RESET_GPU_LOCKED_CLOCKS, device));
  }

  /** Gives the memory clock back to the driver. Needs root. */
  public void resetMemoryLockedClocks() throws NvmlException {
    handle.run(
        NvmlFunction.RESET_MEM_LOCKED_CLOCKS,
        (calls, device) -> calls.call(NvmlFunction.RESET_MEM_LOCKED_CLOCKS, device));
  }

  /** The lowest and the highest memory clock that there is, in MHz. */
  public Range memoryClocksMhz() throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_SUPPORTED_MEMORY_CLOCKS;
    return clocks(
        function, (calls, device, count, list) -> calls.call(function, device, count, list));
  }

  /** The lowest and the highest GPU clock that there is with the highest memory clock, in MHz. */
  public Range gpuClocksMhz() throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_SUPPORTED_GRAPHICS_CLOCKS;
    int memoryMhz = (int) memoryClocksMhz().max();
    return clocks(
        function,
        (calls, device, count, list) -> calls.call(function, device, memoryMhz, count, list));
  }

  private interface ClocksCall {
    int run(NvmlCalls calls, MemorySegment device, MemorySegment count, MemorySegment list)
        throws NvmlException;
  }

  private Range clocks(NvmlFunction function, ClocksCall clocksCall) throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment count = call.allocateFrom(JAVA_INT, MAX_CLOCKS);
      MemorySegment list = call.allocate(JAVA_INT, MAX_CLOCKS).fill((byte) -1);
      handle.run(function, (calls, device) -> clocksCall.run(calls, device, count, list));
      int clocks = count.get(JAVA_INT, 0);
      if (clocks < 1 || clocks > MAX_CLOCKS) {
        throw new NvmlException(function, Integer.toUnsignedString(clocks) + " clocks");
      }
      int[] mhz = list.asSlice(0, clocks * JAVA_INT.byteSize()).toArray(JAVA_INT);
      Arrays.sort(mhz);
      if (mhz[0] < 0) {
        throw new NvmlException(function, Integer.toUnsignedString(mhz[0]) + " MHz");
      }
      return new Range(mhz[0], mhz[clocks - 1]);
    }
  }

  /** An {@code unsigned int}. */
  private long number(NvmlFunction function) throws NvmlException {
    words.set(JAVA_LONG, 0, -1);
    handle.run(function, (calls, device) -> calls.call(function, device, words));
    return toldWord(function, 0);
  }

  private long toldWord(NvmlFunction function, int word) throws NvmlException {
    return told(function, words.getAtIndex(JAVA_INT, word));
  }

  /** The value, unless it is none: nothing that a GPU has needs the highest bit. */
  static long told(NvmlFunction function, int value) throws NvmlException {
    if (value < 0) {
      throw new NvmlException(
          function, value == -1 ? "all bits set" : Integer.toUnsignedString(value));
    }
    return value;
  }
}
