package dev.zeusd.ffm.amdsmi;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.zeusd.ffm.amdsmi.raw.AmdSmi;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_asic_info_head_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_clk_info_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_power_cap_info_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.OptionalLong;

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

  static final long NONE_32 = 0xFFFF_FFFFL;

  private static final long MW_PER_W = 1000;
  private static final long UW_PER_MW = 1000;
  private static final int SENSOR = 0;

  private final AmdSmiSession session;
  private final AmdSmiPlace place;
  private final AmdSmiHandle handle;
  private final AmdSmiSensors sensors;

  /** Room for any struct of any edition. */
  private final MemorySegment answer =
      Arena.ofAuto().allocate(AmdSmi.ZEUSD_AMDSMI_ASIC_INFO_ROOM(), Long.BYTES);

  AmdSmiDevice(AmdSmiSession session, AmdSmiPlace place, AmdSmiHandle handle) {
    this.session = session;
    this.place = place;
    this.handle = handle;
    this.sensors = new AmdSmiSensors(handle);
  }

  /** How it is doing. */
  public AmdSmiSensors sensors() {
    return sensors;
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
    handle.run(function, (calls, gpu) -> calls.call(function, gpu, answer));
    return AmdSmiListing.text(amdsmi_asic_info_head_t.market_name(answer))
        .orElseThrow(() -> new AmdSmiException(function, "an empty text"));
  }

  /** No other GPU's; it outlives a reboot. As AMD SMI told it when it was initialised. */
  public String uuid() throws AmdSmiException {
    return session
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
    handle.run(function, (calls, gpu) -> calls.call(function, gpu, answer));
    AmdSmiEdition edition = session.edition();
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
    handle.run(function, (calls, gpu) -> calls.call(function, gpu, answer, resolution, timestamp));
    long count = answer.get(JAVA_LONG, 0);
    double unitUj = resolution.get(JAVA_FLOAT, 0);
    if (count < 0 || !(unitUj > 0) || Double.isInfinite(unitUj)) {
      throw new AmdSmiException(
          function, Long.toUnsignedString(count) + " times " + unitUj + " uJ");
    }
    return count * unitUj;
  }

  /**
   * Power limits, in mW: the one in force, the driver's own, and the ends of the range. The library
   * leaves 0 where it could not ask for one of them; it is empty here.
   */
  public record PowerCap(
      OptionalLong limitMw, OptionalLong defaultMw, OptionalLong minMw, OptionalLong maxMw) {}

  /** The limits of its power, of which it tells one at least. */
  public PowerCap powerCap() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.GET_POWER_CAP;
    answer.fill((byte) -1);
    handle.run(function, (calls, gpu) -> calls.call(function, gpu, SENSOR, answer));
    OptionalLong limitMw = capMw(amdsmi_power_cap_info_t.power_cap(answer));
    OptionalLong defaultMw = capMw(amdsmi_power_cap_info_t.default_power_cap(answer));
    OptionalLong maxMw = capMw(amdsmi_power_cap_info_t.max_power_cap(answer));
    long minUw = amdsmi_power_cap_info_t.min_power_cap(answer);
    // Of a range that is known, 0 is a lower end as good as any.
    OptionalLong minMw = minUw == 0 && maxMw.isPresent() ? OptionalLong.of(0) : capMw(minUw);
    if (limitMw.isEmpty() && defaultMw.isEmpty() && maxMw.isEmpty()) {
      throw new AmdSmiException(function, AmdSmiStatus.NOT_SUPPORTED.code());
    }
    return new PowerCap(limitMw, defaultMw, minMw, maxMw);
  }

  private static OptionalLong capMw(long uw) {
    return uw <= 0 || uw / UW_PER_MW > NONE_32
        ? OptionalLong.empty()
        : OptionalLong.of(uw / UW_PER_MW);
  }

  /** Sets the power limit, in mW. Needs root. */
  public void setPowerLimitMw(long limitMw) throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.SET_POWER_CAP;
    handle.run(function, (calls, gpu) -> calls.call(function, gpu, SENSOR, limitMw * UW_PER_MW));
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
    handle.run(function, (calls, gpu) -> calls.call(function, gpu, kind.type, answer));
    return new Clock(
        number(function, amdsmi_clk_info_t.clk(answer)),
        number(function, amdsmi_clk_info_t.min_clk(answer)),
        number(function, amdsmi_clk_info_t.max_clk(answer)));
  }

  /** Sets one bound of a clock, in MHz. Needs root. */
  public void setClockBound(ClockKind kind, Bound bound, long mhz) throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.SET_CLOCK_LIMIT;
    handle.run(function, (calls, gpu) -> calls.call(function, gpu, kind.type, bound.type, mhz));
  }

  /** Gives all clocks back to the driver. Needs root. */
  public void resetClocks() throws AmdSmiException {
    AmdSmiFunction function = AmdSmiFunction.SET_PERF_LEVEL;
    int level = AmdSmi.AMDSMI_DEV_PERF_LEVEL_AUTO();
    handle.run(function, (calls, gpu) -> calls.call(function, gpu, level));
  }

  /** The value, unless it is marked as none. */
  static long number(AmdSmiFunction function, int told) throws AmdSmiException {
    long value = Integer.toUnsignedLong(told);
    if (value == NONE_32 || value == NONE_16) {
      throw new AmdSmiException(function, AmdSmiStatus.NOT_SUPPORTED.code());
    }
    return value;
  }
}
