package dev.zeusd.testkit.nvml;

import dev.zeusd.testkit.control.ControlFile;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import dev.zeusd.testkit.nvml.FakeNvml.Clocks;
import dev.zeusd.testkit.nvml.FakeNvml.Oddity;
import java.time.Duration;

/** One fake GPU: setters return this, to be chained. */
public final class FakeGpu {
  private final ControlFile file;
  private final int index;
  private final long slot;
  private final FakePower power;

  FakeGpu(ControlFile file, int index) {
    this.file = file;
    this.index = index;
    this.slot = ControlFile.slot(index);
    this.power = new FakePower(file, slot);
  }

  /**
   * The product name.
   *
   * @param name as the driver tells it
   * @return this
   */
  public FakeGpu name(String name) {
    file.setText(slot, 96, name);
    return this;
  }

  /**
   * The UUID.
   *
   * @param uuid as the driver tells it
   * @return this
   */
  public FakeGpu uuid(String uuid) {
    file.setText(slot + 96, 96, uuid);
    return this;
  }

  /**
   * The PCI address, of function 0.
   *
   * @param domain the PCI domain
   * @param bus the bus, 0 to 255
   * @param device the device on it, 0 to 31
   * @return this
   */
  public FakeGpu pci(int domain, int bus, int device) {
    return set(192, domain).set(196, bus).set(200, device);
  }

  /**
   * Constant power. The energy goes on from where it is, as with every change of power.
   *
   * @param powerMw in mW
   * @return this
   */
  public FakeGpu powerMw(long powerMw) {
    power.constant(powerMw);
    return this;
  }

  /**
   * A sine; its phase is 0 when {@link System#nanoTime()} is a multiple of the period.
   *
   * @param meanMw its middle, in mW
   * @param amplitudeMw how far it goes up and down from there, in mW
   * @param periodMs how long one swing takes, in ms
   * @return this
   */
  public FakeGpu sinePower(long meanMw, long amplitudeMw, long periodMs) {
    power.sine(meanMw, amplitudeMw, periodMs);
    return this;
  }

  /**
   * Base, base + 1, …: one more with every reading. Counts as the base for the energy.
   *
   * @param baseMw the first reading, in mW
   * @return this
   */
  public FakeGpu countingPower(long baseMw) {
    power.counting(baseMw);
    return this;
  }

  /**
   * A fixed energy; unsigned.
   *
   * @param energyMj in mJ
   * @return this
   */
  public FakeGpu energyMj(long energyMj) {
    power.fixEnergy(energyMj);
    return this;
  }

  /**
   * This energy now, and from now on the integral of the power (as at first, from 0).
   *
   * @param startMj in mJ
   * @return this
   */
  public FakeGpu energyFromPower(long startMj) {
    power.integrateFrom(startMj);
    return this;
  }

  /**
   * Whether the field POWER_INSTANT exists; otherwise only the call GET_POWER_USAGE works.
   *
   * @param supported whether the driver knows it
   * @return this
   */
  public FakeGpu instantPowerSupported(boolean supported) {
    return instantPowerReturn(supported ? 0 : 3);
  }

  /**
   * The result of the field POWER_INSTANT, while the call itself succeeds; 0: it works.
   *
   * @param nvmlReturn an {@code nvmlReturn_t}, such as 15 for GPU_IS_LOST
   * @return this
   */
  public FakeGpu instantPowerReturn(int nvmlReturn) {
    return set(312, nvmlReturn);
  }

  /**
   * The field's type, NVML_VALUE_TYPE_…: 0 double, 1 u32 (at first), 3 u64, 4 i64, 5 i32, 6 u16.
   *
   * @param valueType the number of the type in nvml.h
   * @return this
   */
  public FakeGpu instantPowerType(int valueType) {
    return set(316, valueType);
  }

  /**
   * The power limit in force, in mW.
   *
   * @param limitMw in mW
   * @return this
   */
  public FakeGpu powerLimitMw(int limitMw) {
    return set(336, limitMw);
  }

  /**
   * The lowest limit that can be set, the driver's own, and the highest, in mW.
   *
   * @param minMw the lowest that can be set, in mW
   * @param defaultMw the driver's own, in mW
   * @param maxMw the highest that can be set, in mW
   * @return this
   */
  public FakeGpu powerLimits(int minMw, int defaultMw, int maxMw) {
    return set(340, defaultMw).set(344, minMw).set(348, maxMw);
  }

  /**
   * Whether persistence mode is on.
   *
   * @param enabled as nvidia-smi shows it
   * @return this
   */
  public FakeGpu persistenceMode(boolean enabled) {
    return set(352, enabled ? 1 : 0);
  }

  /**
   * Clocks outside cannot be locked.
   *
   * @param fromMhz the lowest clock, in MHz
   * @param toMhz the highest clock, in MHz
   * @return this
   */
  public FakeGpu gpuClockRange(int fromMhz, int toMhz) {
    return set(372, fromMhz).set(376, toMhz);
  }

  /**
   * Clocks outside cannot be locked.
   *
   * @param fromMhz the lowest clock, in MHz
   * @param toMhz the highest clock, in MHz
   * @return this
   */
  public FakeGpu memClockRange(int fromMhz, int toMhz) {
    return set(380, fromMhz).set(384, toMhz);
  }

  /**
   * Temperatures, in degrees Celsius.
   *
   * @param gpuC of the GPU
   * @param memoryC of its memory
   * @return this
   */
  public FakeGpu temperaturesC(int gpuC, int memoryC) {
    return set(400, gpuC).set(404, memoryC);
  }

  /**
   * The result of the field MEMORY_TEMP, while the call itself succeeds; 0: it works.
   *
   * @param nvmlReturn an {@code nvmlReturn_t}, such as 15 for GPU_IS_LOST
   * @return this
   */
  public FakeGpu memoryTemperatureReturn(int nvmlReturn) {
    return set(464, nvmlReturn);
  }

  /**
   * As they run while they are not locked.
   *
   * @param smMhz of the processors, in MHz
   * @param memMhz of the memory, in MHz
   * @return this
   */
  public FakeGpu clocksMhz(int smMhz, int memMhz) {
    return set(408, smMhz).set(412, memMhz);
  }

  /**
   * How busy it is, in percent.
   *
   * @param gpuPct of the processors
   * @param memoryPct of the memory's bus
   * @return this
   */
  public FakeGpu utilizationPct(int gpuPct, int memoryPct) {
    return set(416, gpuPct).set(420, memoryPct);
  }

  /**
   * Its memory, in bytes.
   *
   * @param used how much is in use
   * @param total how much there is
   * @param reserved how much the driver keeps for itself
   * @return this
   */
  public FakeGpu memoryBytes(long used, long total, long reserved) {
    file.setLong(slot + 424, used);
    file.setLong(slot + 432, total);
    file.setLong(slot + 440, reserved);
    return this;
  }

  /**
   * The bits of nvmlClocksEventReasons.
   *
   * @param bits as in nvml.h
   * @return this
   */
  public FakeGpu clocksEventReasons(long bits) {
    file.setLong(slot + 448, bits);
    return this;
  }

  /**
   * 0 to 15; 32: unknown.
   *
   * @param state P0 to P15
   * @return this
   */
  public FakeGpu performanceState(int state) {
    return set(456, state);
  }

  /**
   * A limit that nobody has set through NVML; 0: there is none.
   *
   * @param limitMw in mW
   * @return this
   */
  public FakeGpu outsidePowerLimitMw(int limitMw) {
    return set(460, limitMw);
  }

  /**
   * What the call answers with on this device; 0: it works.
   *
   * @param call which function
   * @param nvmlReturn an {@code nvmlReturn_t}, such as 15 for GPU_IS_LOST
   * @return this
   */
  public FakeGpu error(Call call, int nvmlReturn) {
    file.setInt(ControlFile.entry(index, call), nvmlReturn);
    return this;
  }

  /**
   * What both ways to read the power answer with; 0: they work.
   *
   * @param nvmlReturn an {@code nvmlReturn_t}, such as 15 for GPU_IS_LOST
   * @return this
   */
  public FakeGpu powerError(int nvmlReturn) {
    return error(Call.GET_FIELD_VALUES, nvmlReturn).error(Call.GET_POWER_USAGE, nvmlReturn);
  }

  /**
   * What all calls answer with but those that look for the GPU; 0: they work.
   *
   * @param nvmlReturn an {@code nvmlReturn_t}, such as 15 for GPU_IS_LOST
   * @return this
   */
  public FakeGpu allErrors(int nvmlReturn) {
    for (Call call : Call.values()) {
      if (call.ordinal() > Call.GET_HANDLE_BY_INDEX.ordinal()) {
        error(call, nvmlReturn);
      }
    }
    return this;
  }

  /**
   * How the call is odd, although it succeeds.
   *
   * @param call which function
   * @param oddity what it does
   * @return this
   */
  public FakeGpu oddity(Call call, Oddity oddity) {
    file.setLong(ControlFile.entry(index, call) + 24, oddity.ordinal());
    return this;
  }

  /**
   * What calls of oddity BITS answer with, as many bits as fit.
   *
   * @param bits 64 of them
   * @return this
   */
  public FakeGpu oddBits(long bits) {
    file.setLong(slot + 392, bits);
    return this;
  }

  /**
   * Whether power and limits have the module's scope.
   *
   * @param supported whether the driver knows it
   * @return this
   */
  public FakeGpu moduleScope(boolean supported) {
    return set(388, supported ? 1 : 0);
  }

  /**
   * What the module draws beside the GPU, in mW.
   *
   * @param extraMw in mW
   * @return this
   */
  public FakeGpu moduleExtraMw(int extraMw) {
    return set(472, extraMw);
  }

  /**
   * The power limit of the module, in mW.
   *
   * @param limitMw in mW
   * @return this
   */
  public FakeGpu modulePowerLimitMw(int limitMw) {
    return set(476, limitMw);
  }

  /**
   * The module's limits that can be set, and its default, in mW.
   *
   * @param minMw the lowest that can be set, in mW
   * @param defaultMw the driver's own, in mW
   * @param maxMw the highest that can be set, in mW
   * @return this
   */
  public FakeGpu modulePowerLimits(int minMw, int defaultMw, int maxMw) {
    return set(480, defaultMw).set(484, minMw).set(488, maxMw);
  }

  /** {@return the module's power limit in force} */
  public int modulePowerLimitMw() {
    return file.getInt(slot + 476);
  }

  /** Whether the GPU can be partitioned, and is; at first it cannot. */
  public enum MigMode {
    /** It cannot be partitioned. */
    NONE,
    /** It is not. */
    OFF,
    /** It is, into the instances that there are. */
    ON
  }

  /**
   * Whether it is partitioned.
   *
   * @param mode what the driver says
   * @return this
   */
  public FakeGpu migMode(MigMode mode) {
    return set(468, mode.ordinal());
  }

  /**
   * {@return one of the instances that it may be partitioned into, whether it is there or not}
   *
   * @param number 0 to 6
   */
  public FakeInstance instance(int number) {
    if (number < 0 || number >= FakeNvml.MAX_INSTANCES) {
      throw new IndexOutOfBoundsException(number);
    }
    return new FakeInstance(file, slot + 1024 + number * 128L);
  }

  /**
   * How long the call takes on this device. Shortening it lets a waiting call go within 10 ms.
   *
   * @param call which function
   * @param delay how long it takes
   * @return this
   */
  public FakeGpu delay(Call call, Duration delay) {
    file.setInt(ControlFile.entry(index, call) + 4, ControlFile.micros(delay));
    return this;
  }

  /** {@return the power limit in force, as set by the test or by the code under test} */
  public int powerLimitMw() {
    return file.getInt(slot + 336);
  }

  /** {@return whether persistence mode is on, as set by the test or by the code under test} */
  public boolean persistenceMode() {
    return file.getInt(slot + 352) != 0;
  }

  /** {@return to what the GPU's clock is locked} */
  public Clocks gpuLockedClocks() {
    return new Clocks(file.getInt(slot + 356), file.getInt(slot + 360));
  }

  /** {@return to what the memory's clock is locked} */
  public Clocks memLockedClocks() {
    return new Clocks(file.getInt(slot + 364), file.getInt(slot + 368));
  }

  /**
   * {@return calls of one function begun on this device}
   *
   * @param call which function
   */
  public long calls(Call call) {
    return file.getLong(ControlFile.entry(index, call) + 8);
  }

  /** {@return calls begun on this device} */
  public long calls() {
    long sum = 0;
    for (Call call : Call.values()) {
      sum += calls(call);
    }
    return sum;
  }

  /**
   * {@return when the last call of a function began; 0: never}
   *
   * @param call which function
   */
  public long lastCallNs(Call call) {
    return file.getLong(ControlFile.entry(index, call) + 16);
  }

  /**
   * {@return power readings answered, by the field and by GET_POWER_USAGE, since the reset or
   * countingPower}
   */
  public long powerReads() {
    return power.reads();
  }

  /** {@return calls waiting now on this device} */
  public int inFlight() {
    return file.getInt(slot + 212);
  }

  /** {@return most calls in flight at a time on this device; 1 proves one-at-a-time} */
  public int maxInFlight() {
    return file.getInt(slot + 216);
  }

  private FakeGpu set(long offset, int value) {
    file.setInt(slot + offset, value);
    return this;
  }
}
