package dev.zeusd.ffm.amdsmi;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.zeusd.ffm.amdsmi.raw.AmdSmi;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_asic_info_head_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_clk_info_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_engine_usage_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_power_cap_info_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_vram_usage_t;
import dev.zeusd.ffm.driver.CallGate;
import dev.zeusd.ffm.driver.DriverException.Kind;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * One GPU, by its place on the PCI bus.
 *
 * <p>For one thread at a time: its calls share a piece of native memory, so that reading power
 * allocates nothing. Errors of AMD SMI come as {@link AmdSmiException}, and so does what the driver
 * leaves untouched and what is marked as not told. All values are {@code long} and not negative.
 */
public final class AmdSmiDevice {
  /** The marks of "none": the one of the driver's 16-bit tables, and the one of the header. */
  private static final long NONE_16 = 0xFFFF;

  private static final long NONE_32 = 0xFFFF_FFFFL;

  private static final long MW_PER_W = 1000;
  private static final long UW_PER_MW = 1000;
  private static final int SENSOR = 0;
  private static final long BYTES_PER_MIB = 1L << 20;

  private final AmdSmiLibrary library;
  private final AmdSmiPlace place;
  private final CallGate.Caller caller = new CallGate.Caller();

  /** Room for any struct of any edition. */
  private final MemorySegment answer =
      Arena.ofAuto().allocate(AmdSmi.ZEUSD_AMDSMI_ASIC_INFO_ROOM(), Long.BYTES);

  private MemorySegment handle = MemorySegment.NULL;
  private int handleGeneration = -1;

  private volatile long answeredNanos;

  /** Whether it has never answered, or was gone the last time. */
  private volatile boolean gone = true;

  AmdSmiDevice(AmdSmiLibrary library, AmdSmiPlace place) {
    this.library = library;
    this.place = place;
  }

  // ---- What it is ----

  /** Where it is. */
  public AmdSmiPlace place() {
    return place;
  }

  /** Product name, such as {@code AMD Instinct MI300X}. */
  public String name() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_ASIC_INFO;
    answer.fill((byte) 0);
    run(function, (calls, gpu) -> calls.call(function, gpu, answer));
    return AmdSmiListing.text(amdsmi_asic_info_head_t.market_name(answer))
        .orElseThrow(() -> new AmdSmiException(function, "an empty text"));
  }

  /** No other GPU's; it outlives a reboot. As AMD SMI told it when it was initialised. */
  public String uuid() throws AmdSmiException {
    return library
        .listing()
        .find(place)
        .flatMap(AmdSmiListing.Listed::uuid)
        .orElseThrow(
            () -> new AmdSmiException(AmdSmiFunction.GET_UUID, AmdSmiStatus.NOT_SUPPORTED.code()));
  }

  /** The PCI address, as {@code lspci -D} prints it. */
  public String pciAddress() throws AmdSmiException {
    if (!place.isKnown()) {
      throw new AmdSmiException(AmdSmiFunction.GET_BDF, AmdSmiStatus.NOT_SUPPORTED.code());
    }
    return new AmdSmiPlace(place.bdf(), 0).toString();
  }

  // ---- Power and energy ----

  /**
   * The power of the whole socket, in mW, in steps of a watt: now, where the GPU tells that, else
   * averaged over a short time.
   */
  public long powerMw() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_POWER;
    answer.fill((byte) -1);
    run(function, (calls, gpu) -> calls.call(function, gpu, answer));
    AmdSmiEdition edition = library.edition();
    long powerW = edition.currentPowerW(answer);
    if (isNone(powerW)) {
      powerW = edition.averagePowerW(answer);
    }
    if (isNone(powerW)) {
      powerW = edition.socketPowerW(answer);
    }
    if (isNone(powerW)) {
      throw new AmdSmiException(function, AmdSmiStatus.NOT_SUPPORTED.code());
    }
    return powerW * MW_PER_W;
  }

  private static boolean isNone(long value) {
    return value < 0 || value >= NONE_16;
  }

  /** What the counter shows, in uJ, since the driver was loaded. */
  public double energyUj() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_ENERGY;
    answer.fill((byte) -1);
    MemorySegment resolution = answer.asSlice(8);
    MemorySegment timestamp = answer.asSlice(16);
    run(function, (calls, gpu) -> calls.call(function, gpu, answer, resolution, timestamp));
    long count = answer.get(JAVA_LONG, 0);
    double unitUj = resolution.get(JAVA_FLOAT, 0);
    if (count < 0 || !(unitUj > 0) || Double.isInfinite(unitUj)) {
      throw new AmdSmiException(
          function, Long.toUnsignedString(count) + " times " + unitUj + " uJ");
    }
    return count * unitUj;
  }

  /** Power limits, in mW: the one in force, the driver's own, and the ends of the range. */
  public record PowerCap(long limitMw, long defaultMw, long minMw, long maxMw) {}

  /** The limits of its power. */
  public PowerCap powerCap() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_POWER_CAP;
    answer.fill((byte) -1);
    run(function, (calls, gpu) -> calls.call(function, gpu, SENSOR, answer));
    return new PowerCap(
        capMw(amdsmi_power_cap_info_t.power_cap(answer)),
        capMw(amdsmi_power_cap_info_t.default_power_cap(answer)),
        capMw(amdsmi_power_cap_info_t.min_power_cap(answer)),
        capMw(amdsmi_power_cap_info_t.max_power_cap(answer)));
  }

  private static long capMw(long uw) throws AmdSmiException {
    if (uw < 0 || uw / UW_PER_MW > NONE_32) {
      throw new AmdSmiException(AmdSmiFunction.GET_POWER_CAP, Long.toUnsignedString(uw) + " uW");
    }
    return uw / UW_PER_MW;
  }

  /** Sets the power limit, in mW. Needs root. */
  public void setPowerLimitMw(long limitMw) throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.SET_POWER_CAP;
    run(function, (calls, gpu) -> calls.call(function, gpu, SENSOR, limitMw * UW_PER_MW));
  }

  // ---- Clocks ----

  /** Which clock. */
  public enum ClockKind {
    /** Of the graphics and compute engines. */
    GPU(AmdSmi.AMDSMI_CLK_TYPE_GFX()),
    /** Of the memory. */
    MEMORY(AmdSmi.AMDSMI_CLK_TYPE_MEM());

    private final int type;

    ClockKind(int type) {
      this.type = type;
    }
  }

  /** Which of its bounds. */
  public enum Bound {
    LOWER(AmdSmi.CLK_LIMIT_MIN()),
    UPPER(AmdSmi.CLK_LIMIT_MAX());

    private final int type;

    Bound(int type) {
      this.type = type;
    }
  }

  /** A clock as it runs now, and the bounds that it is kept between, in MHz. */
  public record Clock(long mhz, long minMhz, long maxMhz) {}

  /** One of its clocks. */
  public Clock clock(ClockKind kind) throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_CLOCK;
    answer.fill((byte) -1);
    run(function, (calls, gpu) -> calls.call(function, gpu, kind.type, answer));
    return new Clock(
        number(function, amdsmi_clk_info_t.clk(answer)),
        number(function, amdsmi_clk_info_t.min_clk(answer)),
        number(function, amdsmi_clk_info_t.max_clk(answer)));
  }

  /** Sets one bound of a clock, in MHz. Needs root. */
  public void setClockBound(ClockKind kind, Bound bound, long mhz) throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.SET_CLOCK_LIMIT;
    run(function, (calls, gpu) -> calls.call(function, gpu, kind.type, bound.type, mhz));
  }

  /** Gives all clocks back to the driver. Needs root. */
  public void resetClocks() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.SET_PERF_LEVEL;
    int level = AmdSmi.AMDSMI_DEV_PERF_LEVEL_AUTO();
    run(function, (calls, gpu) -> calls.call(function, gpu, level));
  }

  // ---- How it is doing ----

  /** Where a temperature is measured. */
  public enum Sensor {
    EDGE(AmdSmi.AMDSMI_TEMPERATURE_TYPE_EDGE()),
    HOTSPOT(AmdSmi.AMDSMI_TEMPERATURE_TYPE_HOTSPOT()),
    MEMORY(AmdSmi.AMDSMI_TEMPERATURE_TYPE_VRAM());

    private final int type;

    Sensor(int type) {
      this.type = type;
    }
  }

  /** A temperature, in degrees Celsius. */
  public long temperatureC(Sensor sensor) throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_TEMPERATURE;
    answer.fill((byte) -1);
    int metric = AmdSmi.AMDSMI_TEMP_CURRENT();
    run(function, (calls, gpu) -> calls.call(function, gpu, sensor.type, metric, answer));
    long celsius = answer.get(JAVA_LONG, 0);
    if (celsius == -1 || celsius < -100 || celsius > 300) {
      throw new AmdSmiException(function, celsius + " degrees");
    }
    return celsius;
  }

  /** Parts of the time in which something was going on, in %. */
  public record Utilization(long gpuPct, long memoryPct) {}

  /** What it is busy with. */
  public Utilization utilization() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_ACTIVITY;
    answer.fill((byte) -1);
    run(function, (calls, gpu) -> calls.call(function, gpu, answer));
    return new Utilization(
        percent(function, amdsmi_engine_usage_t.gfx_activity(answer)),
        percent(function, amdsmi_engine_usage_t.umc_activity(answer)));
  }

  private static long percent(AmdSmiFunction function, int percent) throws AmdSmiException {
    long value = number(function, percent);
    if (value > 100) {
      throw new AmdSmiException(function, value + " %");
    }
    return value;
  }

  /** Its memory, in bytes. */
  public record Memory(long usedBytes, long totalBytes) {}

  /** How much memory there is and is used. */
  public Memory memory() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_VRAM;
    answer.fill((byte) -1);
    run(function, (calls, gpu) -> calls.call(function, gpu, answer));
    long used = Integer.toUnsignedLong(amdsmi_vram_usage_t.vram_used(answer));
    long total = Integer.toUnsignedLong(amdsmi_vram_usage_t.vram_total(answer));
    if (used > total || total == NONE_32) {
      throw new AmdSmiException(function, used + " MiB of " + total);
    }
    return new Memory(used * BYTES_PER_MIB, total * BYTES_PER_MIB);
  }

  /** The value, unless it is marked as none. */
  private static long number(AmdSmiFunction function, int told) throws AmdSmiException {
    long value = Integer.toUnsignedLong(told);
    if (value == NONE_32 || value == NONE_16) {
      throw new AmdSmiException(function, AmdSmiStatus.NOT_SUPPORTED.code());
    }
    return value;
  }

  // ---- Calls ----

  /** A call with the GPU's handle; gives AMD SMI's status. */
  private interface Call {
    int run(AmdSmiCalls calls, MemorySegment gpu) throws AmdSmiException;
  }

  /** Makes a call; whatever becomes of the library, the handle is a good one. */
  private void run(AmdSmiFunction function, Call call) throws AmdSmiException {
    int generation = library.initialisations();
    try {
      runInside(function, call);
    } catch (AmdSmiException e) {
      // What came of a handle that was outdated meanwhile says nothing about the GPU.
      if (library.initialisations() == generation) {
        if (e.kind() != Kind.GONE) {
          throw e;
        }
        gone = true;
        library.trouble(this, generation, e.status());
        handleGeneration = -1;
      }
      runInside(function, call);
    }
  }

  private void runInside(AmdSmiFunction function, Call call) throws AmdSmiException {
    AmdSmiCalls calls = library.enter(caller);
    try {
      OneAtATime turns = library.turns();
      turns.enter(function);
      try {
        function.check(call.run(calls, currentHandle()));
      } finally {
        turns.leave();
      }
    } finally {
      library.leave(caller);
    }
    answeredNanos = System.nanoTime();
    if (gone) {
      gone = false;
      library.recovered();
    }
  }

  private MemorySegment currentHandle() throws AmdSmiException {
    int generation = library.initialisations();
    if (handleGeneration != generation) {
      handle =
          library
              .listing()
              .find(place)
              .map(AmdSmiListing.Listed::handle)
              .orElseThrow(
                  () ->
                      new AmdSmiException(
                          "the driver no longer lists the GPU at "
                              + place
                              + "; amd-smi list shows those that it does",
                          AmdSmiStatus.NOT_FOUND));
      handleGeneration = generation;
    }
    return handle;
  }

  /** Whether its last call worked, not longer ago than {@code nanos}. From any thread. */
  boolean hasAnswered(long nanos) {
    return !gone && System.nanoTime() - answeredNanos < nanos;
  }
}
