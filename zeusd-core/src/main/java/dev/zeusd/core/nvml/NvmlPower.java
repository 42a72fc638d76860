package dev.zeusd.core.nvml;

import dev.zeusd.core.device.PowerScope;
import dev.zeusd.ffm.driver.BackOff;
import dev.zeusd.ffm.nvml.NvmlDevice;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;

/**
 * How the power of a GPU is read: the instant reading where that works, of the GPU or, where it
 * refuses that, of its module; else {@code nvmlDeviceGetPowerUsage}. What failed is tried again
 * after each initialisation of NVML, and now and then. For one thread at a time.
 */
final class NvmlPower {
  private static final System.Logger LOG = System.getLogger(NvmlGpu.class.getName());

  private enum Way {
    GPU,
    MODULE,
    USAGE
  }

  private final int id;
  private final NvmlLibrary library;
  private final NvmlDevice device;
  private final BackOff instantRetries = new BackOff(0, 5_000_000_000L, 60_000_000_000L);
  private Way way = Way.GPU;
  private int triedIn = -1;
  private boolean saidUsage;
  private boolean saidModule;

  NvmlPower(int id, NvmlLibrary library, NvmlDevice device) {
    this.id = id;
    this.library = library;
    this.device = device;
  }

  /** What the last reading covered. */
  PowerScope scope() {
    return way == Way.MODULE ? PowerScope.MODULE : PowerScope.GPU;
  }

  /** Finds out what {@link #scope} is. Where there is no module, this reads no power. */
  void findScope() {
    try {
      device.module().powerMw();
      powerMw();
    } catch (NvmlException e) {
      LOG.log(System.Logger.Level.DEBUG, "GPU {0}: {1}", id, e.getMessage());
    }
  }

  long powerMw() throws NvmlException {
    if (triedIn != library.generation()) {
      triedIn = library.generation();
      instantRetries.reset();
      way = Way.GPU;
    }
    return switch (way) {
      case GPU -> instantMw();
      case MODULE -> moduleMw();
      case USAGE -> instantRetries.isWaiting() ? usageMw() : instantMw();
    };
  }

  private long instantMw() throws NvmlException {
    try {
      long powerMw = device.instantPowerMw();
      way = Way.GPU;
      instantRetries.reset();
      return powerMw;
    } catch (NvmlException e) {
      return isRefusal(e) ? moduleInsteadMw(e) : usageInsteadMw(e);
    }
  }

  private static boolean isRefusal(NvmlException e) {
    return switch (e.result()) {
      case NOT_SUPPORTED, INVALID_ARGUMENT, NO_PERMISSION -> true;
      default -> false;
    };
  }

  private long moduleInsteadMw(NvmlException why) throws NvmlException {
    long powerMw;
    try {
      powerMw = device.module().powerMw();
    } catch (NvmlException e) {
      return usageInsteadMw(why);
    }
    way = Way.MODULE;
    if (!saidModule) {
      saidModule = true;
      LOG.log(
          System.Logger.Level.INFO,
          "GPU {0} does not tell its own power ({1}): reporting that of its module",
          id,
          why.getMessage());
    }
    return powerMw;
  }

  private long moduleMw() throws NvmlException {
    try {
      return device.module().powerMw();
    } catch (NvmlException e) {
      return instantMw();
    }
  }

  /** Where this fails as well, nothing is known about the instant reading. */
  private long usageInsteadMw(NvmlException why) throws NvmlException {
    long powerMw;
    try {
      powerMw = device.powerUsageMw();
    } catch (NvmlException e) {
      throw why;
    }
    way = Way.USAGE;
    instantRetries.failed();
    if (!saidUsage) {
      saidUsage = true;
      LOG.log(
          System.Logger.Level.INFO,
          "GPU {0} has no instant power reading ({1}): reporting nvmlDeviceGetPowerUsage,"
              + " which may be an average over one second",
          id,
          why.getMessage());
    }
    return powerMw;
  }

  private long usageMw() throws NvmlException {
    try {
      return device.powerUsageMw();
    } catch (NvmlException e) {
      return instantMw();
    }
  }
}
