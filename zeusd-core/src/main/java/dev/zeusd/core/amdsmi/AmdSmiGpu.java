package dev.zeusd.core.amdsmi;

import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.driver.DriverGpu;
import dev.zeusd.core.driver.Identity;
import dev.zeusd.core.driver.Refusal;
import dev.zeusd.core.driver.TelemetryQuestions;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice.ClockKind;
import dev.zeusd.ffm.amdsmi.AmdSmiException;
import dev.zeusd.ffm.amdsmi.AmdSmiLibrary;
import dev.zeusd.ffm.amdsmi.AmdSmiPlace;
import dev.zeusd.ffm.amdsmi.AmdSmiSensors;
import dev.zeusd.ffm.amdsmi.AmdSmiSensors.Sensor;
import dev.zeusd.ffm.driver.DriverException;
import java.util.Optional;
import java.util.OptionalLong;

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
    return library.generation();
  }

  @Override
  public Optional<String> vendor() {
    return Optional.of("amd");
  }

  /** AMD's tools count what the library lists, in the same order. */
  @Override
  public int vendorIndex() {
    return get(
        () -> {
          // Whoever answers is in the listing of now.
          device.name();
          return library.places().indexOf(place());
        });
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
    return get(() -> told(device.powerCap().limitMw()));
  }

  @Override
  public long defaultPowerLimitMw() {
    return get(() -> told(device.powerCap().defaultMw()));
  }

  @Override
  public PowerLimitConstraints powerLimitConstraints() {
    return get(this::powerRange).asPowerLimits();
  }

  private Refusal.Range powerRange() throws AmdSmiException {
    AmdSmiDevice.PowerCap cap = device.powerCap();
    return new Refusal.Range(told(cap.minMw()), told(cap.maxMw()));
  }

  private static long told(OptionalLong limitMw) throws AmdSmiException {
    if (limitMw.isEmpty()) {
      throw AmdSmiException.notSupported("reading power limits: the driver does not tell this one");
    }
    return limitMw.getAsLong();
  }

  @Override
  public GpuTelemetry telemetry() {
    return get(this::readTelemetry);
  }

  private GpuTelemetry readTelemetry() throws DriverException {
    TelemetryQuestions gpu = new TelemetryQuestions();
    // Server GPUs tell the hottest spot, others the edge as well: that is the cooler one.
    gpu.put(Reading.TEMPERATURE_C, () -> device.sensors().temperatureC(Sensor.EDGE));
    if (!gpu.has(Reading.TEMPERATURE_C)) {
      gpu.put(Reading.TEMPERATURE_C, () -> device.sensors().temperatureC(Sensor.HOTSPOT));
    }
    gpu.put(Reading.MEMORY_TEMPERATURE_C, () -> device.sensors().temperatureC(Sensor.MEMORY));
    gpu.put(Reading.SM_CLOCK_MHZ, () -> device.clock(ClockKind.GPU).mhz());
    gpu.put(Reading.MEM_CLOCK_MHZ, () -> device.clock(ClockKind.MEMORY).mhz());
    Optional<AmdSmiSensors.Utilization> busy = gpu.ask(device.sensors()::utilization);
    busy.ifPresent(it -> gpu.put(Reading.GPU_UTILIZATION_PCT, it.gpuPct()));
    busy.ifPresent(it -> gpu.put(Reading.MEM_UTILIZATION_PCT, it.memoryPct()));
    Optional<AmdSmiSensors.Memory> memory = gpu.ask(device.sensors()::memory);
    memory.ifPresent(it -> gpu.put(Reading.MEMORY_USED_BYTES, it.usedBytes()));
    memory.ifPresent(it -> gpu.put(Reading.MEMORY_TOTAL_BYTES, it.totalBytes()));
    Optional<AmdSmiDevice.PowerCap> cap = gpu.ask(device::powerCap);
    if (cap.isPresent()) {
      gpu.put(Reading.POWER_LIMIT_MW, () -> told(cap.get().limitMw()));
      gpu.put(Reading.DEFAULT_POWER_LIMIT_MW, () -> told(cap.get().defaultMw()));
    }
    return gpu.answers(Optional.empty(), Optional.empty());
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
