package dev.zeusd.core.amdsmi;

import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.driver.DriverGpu;
import dev.zeusd.core.driver.Identity;
import dev.zeusd.core.driver.Question;
import dev.zeusd.core.driver.Refusal;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice.ClockKind;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice.Sensor;
import dev.zeusd.ffm.amdsmi.AmdSmiException;
import dev.zeusd.ffm.amdsmi.AmdSmiLibrary;
import dev.zeusd.ffm.amdsmi.AmdSmiPlace;
import dev.zeusd.ffm.driver.DriverException;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/** A GPU behind AMD SMI. It has no persistence mode. */
final class AmdSmiGpu extends DriverGpu {
  private final AmdSmiLibrary library;
  private final AmdSmiDevice device;
  private final Identity identity;
  private final AmdSmiEnergy energy;
  private final AmdSmiClocks clocks;

  /** Nothing is asked yet. */
  AmdSmiGpu(int id, AmdSmiLibrary library, AmdSmiDevice device) {
    this(id, library, device, new AmdSmiEnergy(id, device));
  }

  private AmdSmiGpu(int id, AmdSmiLibrary library, AmdSmiDevice device, AmdSmiEnergy energy) {
    this(
        id,
        library,
        device,
        energy,
        new Identity(id, device::name, device::uuid, device::pciAddress, energy::isRight));
  }

  private AmdSmiGpu(
      int id, AmdSmiLibrary library, AmdSmiDevice device, AmdSmiEnergy energy, Identity identity) {
    super(id, identity);
    this.library = library;
    this.device = device;
    this.identity = identity;
    this.energy = energy;
    this.clocks = new AmdSmiClocks(id, device);
  }

  AmdSmiPlace place() {
    return device.place();
  }

  /** Takes half a second, since the energy counter is compared with the power. */
  @Override
  public void identify() {
    energy.compare();
    super.identify();
  }

  @Override
  protected GpuInfo describe() {
    identity.ask();
    return identity.info(PowerScope.GPU);
  }

  @Override
  public int driverGeneration() {
    return library.initialisations();
  }

  @Override
  public Optional<String> vendor() {
    return Optional.of("amd");
  }

  @Override
  public Optional<GpuDriver> driver() {
    return Optional.of(new GpuDriver("amd", ""));
  }

  // ---- Readings ----

  @Override
  protected long readPowerMw() throws AmdSmiException {
    return device.powerMw();
  }

  @Override
  public long energyMj() {
    return get(energy::energyMj);
  }

  @Override
  public long powerLimitMw() {
    return get(() -> device.powerCap().limitMw());
  }

  @Override
  public long defaultPowerLimitMw() {
    return get(() -> device.powerCap().defaultMw());
  }

  @Override
  public PowerLimitConstraints powerLimitConstraints() {
    return get(this::powerRange).asPowerLimits();
  }

  private Refusal.Range powerRange() throws AmdSmiException {
    AmdSmiDevice.PowerCap cap = device.powerCap();
    return new Refusal.Range(cap.minMw(), cap.maxMw());
  }

  @Override
  public GpuTelemetry telemetry() {
    return get(() -> new TelemetryQuestion().read());
  }

  /** All that it tells; what it does not is missing. */
  private final class TelemetryQuestion {
    private final Map<Reading, Long> readings = new EnumMap<>(Reading.class);
    private DriverException failure;

    GpuTelemetry read() throws DriverException {
      temperature();
      put(Reading.MEMORY_TEMPERATURE_C, () -> device.temperatureC(Sensor.MEMORY));
      put(Reading.SM_CLOCK_MHZ, () -> device.clock(ClockKind.GPU).mhz());
      put(Reading.MEM_CLOCK_MHZ, () -> device.clock(ClockKind.MEMORY).mhz());
      Optional<AmdSmiDevice.Utilization> busy = ask(device::utilization);
      busy.ifPresent(it -> readings.put(Reading.GPU_UTILIZATION_PCT, it.gpuPct()));
      busy.ifPresent(it -> readings.put(Reading.MEM_UTILIZATION_PCT, it.memoryPct()));
      Optional<AmdSmiDevice.Memory> memory = ask(device::memory);
      memory.ifPresent(it -> readings.put(Reading.MEMORY_USED_BYTES, it.usedBytes()));
      memory.ifPresent(it -> readings.put(Reading.MEMORY_TOTAL_BYTES, it.totalBytes()));
      Optional<AmdSmiDevice.PowerCap> cap = ask(device::powerCap);
      cap.ifPresent(it -> readings.put(Reading.POWER_LIMIT_MW, it.limitMw()));
      cap.ifPresent(it -> readings.put(Reading.DEFAULT_POWER_LIMIT_MW, it.defaultMw()));
      if (failure != null && readings.isEmpty()) {
        throw failure;
      }
      return new GpuTelemetry(readings, Optional.empty());
    }

    /** Server GPUs tell the hottest spot, others the edge as well: that is the cooler one. */
    private void temperature() throws DriverException {
      put(Reading.TEMPERATURE_C, () -> device.temperatureC(Sensor.EDGE));
      if (!readings.containsKey(Reading.TEMPERATURE_C)) {
        put(Reading.TEMPERATURE_C, () -> device.temperatureC(Sensor.HOTSPOT));
      }
    }

    private void put(Reading reading, Question<Long> question) throws DriverException {
      ask(question).ifPresent(value -> readings.put(reading, value));
    }

    /** A GPU that cannot be reached is not asked any further. */
    private <T> Optional<T> ask(Question<T> question) throws DriverException {
      try {
        return Optional.of(question.ask());
      } catch (DriverException e) {
        if (e.kind() == DriverException.Kind.GONE) {
          throw e;
        }
        failure = failure == null ? e : failure;
        return Optional.empty();
      }
    }
  }

  // ---- Settings ----

  @Override
  public void setPowerLimit(long powerLimitMw) {
    set(
        new Refusal("power limit", powerLimitMw, powerLimitMw, "mW"),
        () -> device.setPowerLimitMw(powerLimitMw),
        this::powerRange);
  }

  @Override
  public void setGpuLockedClocks(long minClockMhz, long maxClockMhz) {
    lock("GPU clock", ClockKind.GPU, minClockMhz, maxClockMhz);
  }

  @Override
  public void setMemLockedClocks(long minClockMhz, long maxClockMhz) {
    lock("memory clock", ClockKind.MEMORY, minClockMhz, maxClockMhz);
  }

  private void lock(String name, ClockKind kind, long minMhz, long maxMhz) {
    set(
        new Refusal(name, minMhz, maxMhz, "MHz"),
        () -> clocks.lock(kind, new Refusal.Range(minMhz, maxMhz)),
        () -> clocks.possible(kind));
  }

  @Override
  public void resetGpuLockedClocks() {
    run(() -> clocks.reset(ClockKind.GPU));
  }

  @Override
  public void resetMemLockedClocks() {
    run(() -> clocks.reset(ClockKind.MEMORY));
  }
}
