package dev.zeusd.core.nvml;

import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.MigInstance;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.driver.DriverGpu;
import dev.zeusd.core.driver.Identity;
import dev.zeusd.core.driver.Question;
import dev.zeusd.core.driver.Refusal;
import dev.zeusd.ffm.driver.DriverException;
import dev.zeusd.ffm.nvml.NvmlDevice;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/** A GPU behind NVML. */
final class NvmlGpu extends DriverGpu {
  private static final System.Logger LOG = System.getLogger(NvmlGpu.class.getName());

  private final NvmlLibrary library;
  private final NvmlDevice device;
  private final Identity identity;
  private final NvmlPower power;
  private final NvmlTelemetry telemetry;
  private final NvmlInstances instances;
  private final PowerQuestion modulePower;

  /** Nothing is asked yet. */
  NvmlGpu(int id, NvmlLibrary library, NvmlDevice device) {
    this(
        id,
        library,
        device,
        new Identity(
            id,
            device::name,
            device::uuid,
            () -> text(device.pciAddress()),
            () -> countsEnergy(device)));
  }

  private NvmlGpu(int id, NvmlLibrary library, NvmlDevice device, Identity identity) {
    super(id, identity);
    this.library = library;
    this.device = device;
    this.identity = identity;
    this.power = new NvmlPower(id, library, device);
    this.modulePower = device.module()::powerMw;
    this.instances = new NvmlInstances(library, device.mig());
    this.telemetry = new NvmlTelemetry(library, device, instances);
  }

  private static String text(NvmlDevice.PciAddress pci) {
    HexFormat hex = HexFormat.of();
    String domain =
        pci.domain() > 0xffff ? Long.toHexString(pci.domain()) : hex.toHexDigits(pci.domain(), 4);
    return domain
        + ":"
        + hex.toHexDigits((byte) pci.bus())
        + ":"
        + hex.toHexDigits((byte) pci.device())
        + ".0";
  }

  /** An error that says that the GPU cannot is an answer. */
  private static boolean countsEnergy(NvmlDevice device) throws NvmlException {
    try {
      device.totalEnergyMj();
      return true;
    } catch (NvmlException e) {
      if (e.kind() == DriverException.Kind.NOT_SUPPORTED) {
        return false;
      }
      throw e;
    }
  }

  String knownUuid() {
    return device.knownUuid();
  }

  @Override
  protected GpuInfo describe() {
    identity.ask();
    power.findScope();
    try {
      instances.read();
    } catch (NvmlException e) {
      LOG.log(System.Logger.Level.DEBUG, "GPU {0}: {1}", info().id(), e.getMessage());
    }
    return identity.info(power.scope());
  }

  @Override
  public Optional<List<MigInstance>> migInstances() {
    return instances.known();
  }

  @Override
  public int driverGeneration() {
    return library.generation();
  }

  @Override
  public Optional<String> vendor() {
    return Optional.of("nvidia");
  }

  @Override
  public int vendorIndex() {
    return get(device::index);
  }

  @Override
  public Optional<GpuDriver> driver() {
    return telemetry.driver();
  }

  // ---- Readings ----

  @Override
  protected long readPowerMw() throws NvmlException {
    long powerMw = power.powerMw();
    if (info().powerScope() != power.scope()) {
      setInfo(identity.info(power.scope()));
    }
    return powerMw;
  }

  @Override
  public long powerMwOf(PowerScope scope) {
    return scope == PowerScope.MODULE ? modulePowerMw(modulePower) : super.powerMwOf(scope);
  }

  @Override
  public long energyMj() {
    return get(device::totalEnergyMj);
  }

  @Override
  public long powerLimitMw() {
    return get(device::powerLimitMw);
  }

  @Override
  public long defaultPowerLimitMw() {
    return get(device::defaultPowerLimitMw);
  }

  @Override
  public GpuTelemetry telemetry() {
    return get(telemetry::read);
  }

  @Override
  public PowerLimitConstraints powerLimitConstraints() {
    return get(range(device::powerLimitsMw)).asPowerLimits();
  }

  @Override
  public long modulePowerLimitMw() {
    return get(device.module()::powerLimitMw);
  }

  @Override
  public long defaultModulePowerLimitMw() {
    return get(device.module()::defaultPowerLimitMw);
  }

  @Override
  public PowerLimitConstraints modulePowerLimitConstraints() {
    return get(range(device.module()::powerLimitsMw)).asPowerLimits();
  }

  @Override
  public boolean persistenceMode() {
    return get(device::persistenceMode);
  }

  // ---- Settings ----

  private static Question<Refusal.Range> range(Question<NvmlDevice.Range> question) {
    return () -> {
      NvmlDevice.Range told = question.ask();
      return new Refusal.Range(told.min(), told.max());
    };
  }

  @Override
  public void setPowerLimit(long powerLimitMw) {
    set(
        new Refusal("power limit", powerLimitMw, powerLimitMw, "mW"),
        () -> device.setPowerLimitMw(powerLimitMw),
        range(device::powerLimitsMw));
  }

  @Override
  public void setModulePowerLimit(long powerLimitMw) {
    set(
        new Refusal("power limit of the module", powerLimitMw, powerLimitMw, "mW"),
        () -> device.module().setPowerLimitMw(powerLimitMw),
        range(device.module()::powerLimitsMw));
  }

  @Override
  public void setPersistenceMode(boolean enabled) {
    run(() -> device.setPersistenceMode(enabled));
  }

  @Override
  public void setGpuLockedClocks(long minClockMhz, long maxClockMhz) {
    set(
        new Refusal("GPU clock", minClockMhz, maxClockMhz, "MHz"),
        () -> device.setGpuLockedClocksMhz(minClockMhz, maxClockMhz),
        range(device::gpuClocksMhz));
  }

  @Override
  public void setMemLockedClocks(long minClockMhz, long maxClockMhz) {
    set(
        new Refusal("memory clock", minClockMhz, maxClockMhz, "MHz"),
        () -> device.setMemoryLockedClocksMhz(minClockMhz, maxClockMhz),
        range(device::memoryClocksMhz));
  }

  @Override
  public void resetGpuLockedClocks() {
    run(device::resetGpuLockedClocks);
  }

  @Override
  public void resetMemLockedClocks() {
    run(device::resetMemoryLockedClocks);
  }
}
