package dev.zeusd.core.nvml;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.ffm.nvml.NvmlDevice;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlReturn;
import java.util.HexFormat;

/** A GPU behind NVML. */
final class NvmlGpu implements Gpu {
  private static final System.Logger LOG = System.getLogger(NvmlGpu.class.getName());

  private static final long DESCRIBE_INTERVAL_NANOS = 1_000_000_000L;

  private final NvmlDevice device;
  private boolean instantPower = true;

  private volatile GpuInfo info;
  private boolean described;
  private long lastDescribeNanos = System.nanoTime() - DESCRIBE_INTERVAL_NANOS;

  /** Nothing is asked yet. */
  NvmlGpu(int id, NvmlDevice device) {
    this.device = device;
    this.info = new GpuInfo(id, "unknown", "", false);
  }

  String knownUuid() {
    return device.knownUuid();
  }

  @Override
  public void identify() {
    try {
      describe();
    } catch (NvmlException e) {
      LOG.log(
          System.Logger.Level.WARNING, "GPU {0} does not answer: {1}", info.id(), e.getMessage());
    }
  }

  private void describe() throws NvmlException {
    NvmlDevice.PciAddress pci = device.pciAddress();
    info = new GpuInfo(info.id(), device.name(), text(pci), countsEnergy(device));
    described = true;
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

  /** After a call that worked; not after each, should the GPU never tell who it is. */
  private void describeIfUnknown() {
    if (described || System.nanoTime() - lastDescribeNanos < DESCRIBE_INTERVAL_NANOS) {
      return;
    }
    lastDescribeNanos = System.nanoTime();
    try {
      describe();
      LOG.log(
          System.Logger.Level.INFO,
          "GPU {0} answers now: {1} at {2}",
          info.id(),
          info.name(),
          info.pciAddress());
    } catch (NvmlException e) {
      LOG.log(System.Logger.Level.DEBUG, "GPU {0} is not known yet: {1}", info.id(), e);
    }
  }

  private static boolean countsEnergy(NvmlDevice device) throws NvmlException {
    try {
      device.totalEnergyMj();
      return true;
    } catch (NvmlException e) {
      if (lacks(e)) {
        return false;
      }
      throw e;
    }
  }

  private static boolean lacks(NvmlException e) {
    return e.result() == NvmlReturn.NOT_SUPPORTED
        || e.result() == NvmlReturn.FUNCTION_NOT_FOUND
        || e.result() == NvmlReturn.ARGUMENT_VERSION_MISMATCH;
  }

  @Override
  public GpuInfo info() {
    return info;
  }

  @Override
  public long powerMw() {
    return get(instantPower ? this::instantPowerMw : device::powerUsageMw);
  }

  private long instantPowerMw() throws NvmlException {
    try {
      return device.instantPowerMw();
    } catch (NvmlException e) {
      // A driver that does not know the field may call its number an invalid argument.
      if (!lacks(e) && e.result() != NvmlReturn.INVALID_ARGUMENT) {
        throw e;
      }
      long powerMw = device.powerUsageMw();
      instantPower = false;
      LOG.log(
          System.Logger.Level.INFO,
          "GPU {0} has no instant power reading ({1}): reporting nvmlDeviceGetPowerUsage,"
              + " which may be an average over one second",
          info.id(),
          e.getMessage());
      return powerMw;
    }
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
  public PowerLimitConstraints powerLimitConstraints() {
    NvmlDevice.PowerLimits limits = get(device::powerLimitsMw);
    return new PowerLimitConstraints(limits.minMw(), limits.maxMw());
  }

  @Override
  public boolean persistenceMode() {
    return get(device::persistenceMode);
  }

  @Override
  public void setPowerLimit(long powerLimitMw) {
    run(() -> device.setPowerLimitMw(powerLimitMw));
  }

  @Override
  public void setPersistenceMode(boolean enabled) {
    run(() -> device.setPersistenceMode(enabled));
  }

  @Override
  public void setGpuLockedClocks(long minClockMhz, long maxClockMhz) {
    run(() -> device.setGpuLockedClocksMhz(minClockMhz, maxClockMhz));
  }

  @Override
  public void setMemLockedClocks(long minClockMhz, long maxClockMhz) {
    run(() -> device.setMemoryLockedClocksMhz(minClockMhz, maxClockMhz));
  }

  @Override
  public void resetGpuLockedClocks() {
    run(device::resetGpuLockedClocks);
  }

  @Override
  public void resetMemLockedClocks() {
    run(device::resetMemoryLockedClocks);
  }

  private interface NvmlGetter<T> {
    T get() throws NvmlException;
  }

  private interface NvmlCommand {
    void run() throws NvmlException;
  }

  private <T> T get(NvmlGetter<T> getter) {
    try {
      T value = getter.get();
      describeIfUnknown();
      return value;
    } catch (NvmlException e) {
      throw deviceException(e);
    }
  }

  private void run(NvmlCommand command) {
    get(
        () -> {
          command.run();
          return null;
        });
  }

  /** The one place where results of NVML become errors of a device. */
  private static DeviceException deviceException(NvmlException e) {
    return switch (e.result()) {
      case INVALID_ARGUMENT, FREQ_NOT_SUPPORTED ->
          new DeviceException.InvalidArgument(e.getMessage(), e);
      case NOT_SUPPORTED, FUNCTION_NOT_FOUND -> new DeviceException.NotSupported(e.getMessage(), e);
      case NO_PERMISSION -> new DeviceException.NoPermission(e.getMessage(), e);
      default -> new DeviceException.Failed(e.getMessage(), e);
    };
  }
}
