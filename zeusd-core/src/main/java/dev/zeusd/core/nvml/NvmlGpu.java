package dev.zeusd.core.nvml;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuDriver;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.ffm.nvml.BackOff;
import dev.zeusd.ffm.nvml.NvmlDevice;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import dev.zeusd.ffm.nvml.NvmlReturn;
import java.util.Optional;

/**
 * A GPU behind NVML.
 *
 * <p>What reads is asked with back-off while it fails: of the power whatever the failure, since a
 * stream asks for that many times a second; else where NVML does not reach the GPU at all. Between
 * two tries the last failure is the answer. What writes is always tried.
 */
final class NvmlGpu implements Gpu {
  private static final System.Logger LOG = System.getLogger(NvmlGpu.class.getName());

  private final NvmlLibrary library;
  private final NvmlDevice device;
  private final NvmlIdentity identity;
  private final NvmlPower power;
  private final NvmlTelemetry telemetry;
  private final Failures failures = new Failures();
  private final Failures powerFailures = new Failures();
  private volatile GpuInfo info;

  /** Nothing is asked yet. */
  NvmlGpu(int id, NvmlLibrary library, NvmlDevice device) {
    this.library = library;
    this.device = device;
    this.identity = new NvmlIdentity(id, device);
    this.power = new NvmlPower(id, library, device);
    this.telemetry = new NvmlTelemetry(library, device);
    this.info = GpuInfo.unknown(id);
  }

  /** What failed lately, and when to try again. */
  private static final class Failures {
    private final BackOff backOff = new BackOff(1, 100_000_000L, 5_000_000_000L);
    private DeviceException last;

    void throwWhileWaiting() {
      if (last != null && backOff.isWaiting()) {
        throw last;
      }
    }

    void add(DeviceException failure) {
      last = failure;
      backOff.failed();
    }

    void end() {
      if (last != null) {
        last = null;
        backOff.reset();
      }
    }
  }

  String knownUuid() {
    return device.knownUuid();
  }

  @Override
  public void identify() {
    describe();
  }

  private void describe() {
    identity.ask();
    power.findScope();
    info = identity.info(power.scope());
  }

  /** After a call that worked. */
  private void describeIfUnknown() {
    if (!identity.isDue()) {
      return;
    }
    GpuInfo before = info;
    describe();
    if (!info.equals(before)) {
      LOG.log(
          System.Logger.Level.INFO,
          "GPU {0} answers now: {1} at {2}",
          info.id(),
          info.name(),
          info.pciAddress().orElse("an unknown address"));
    }
  }

  @Override
  public GpuInfo info() {
    return info;
  }

  @Override
  public int driverGeneration() {
    return library.initialisations();
  }

  @Override
  public Optional<GpuDriver> driver() {
    return telemetry.driver();
  }

  // ---- Readings ----

  @Override
  public long powerMw() {
    powerFailures.throwWhileWaiting();
    try {
      long powerMw = power.powerMw();
      powerFailures.end();
      if (info.powerScope() != power.scope()) {
        info = identity.info(power.scope());
      }
      describeIfUnknown();
      return powerMw;
    } catch (NvmlException e) {
      DeviceException failure = deviceException(e, e.getMessage());
      powerFailures.add(failure);
      throw failure;
    }
  }

  private <T> T get(Question<T> question) {
    failures.throwWhileWaiting();
    return call(question);
  }

  private <T> T call(Question<T> question) {
    try {
      T value = question.ask();
      failures.end();
      describeIfUnknown();
      return value;
    } catch (NvmlException e) {
      DeviceException failure = deviceException(e, e.getMessage());
      if (NvmlDevice.isGone(e.result())) {
        failures.add(failure);
      } else {
        failures.end();
      }
      throw failure;
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
  public long defaultPowerLimitMw() {
    return get(device::defaultPowerLimitMw);
  }

  @Override
  public GpuTelemetry telemetry() {
    return get(telemetry::read);
  }

  @Override
  public PowerLimitConstraints powerLimitConstraints() {
    NvmlDevice.Range limits = get(device::powerLimitsMw);
    return new PowerLimitConstraints(limits.min(), limits.max());
  }

  @Override
  public boolean persistenceMode() {
    return get(device::persistenceMode);
  }

  // ---- Settings ----

  private interface Command {
    void run() throws NvmlException;
  }

  private void run(Command command) {
    call(
        () -> {
          command.run();
          return null;
        });
  }

  /**
   * A setting that is to be made.
   *
   * @param range the value asked for, or its lower and its upper end
   */
  private record Asked(String setting, NvmlDevice.Range range, String unit) {
    String refusal(NvmlDevice.Range possible) {
      boolean isPossible = range.min() >= possible.min() && range.max() <= possible.max();
      return "%s %s %s is %s %s %s"
          .formatted(
              setting,
              range.min() == range.max() ? range.min() : text(range),
              unit,
              isPossible ? "refused, although within" : "not within",
              text(possible),
              unit);
    }

    private static String text(NvmlDevice.Range range) {
      return range.min() + " to " + range.max();
    }
  }

  /** Runs what sets a value; a refusal of the value says what is possible. */
  private void set(Asked asked, Command command, Question<NvmlDevice.Range> possible) {
    run(
        () -> {
          try {
            command.run();
          } catch (NvmlException e) {
            if (e.result() != NvmlReturn.INVALID_ARGUMENT
                && e.result() != NvmlReturn.FREQ_NOT_SUPPORTED) {
              throw e;
            }
            throw deviceException(e, refusal(asked, possible, e));
          }
        });
  }

  private static String refusal(
      Asked asked, Question<NvmlDevice.Range> possible, NvmlException refused) {
    String inWords = refused.getMessage();
    try {
      return asked.refusal(possible.ask()) + inWords.substring(inWords.lastIndexOf(" ("));
    } catch (NvmlException e) {
      return inWords;
    }
  }

  @Override
  public void setPowerLimit(long powerLimitMw) {
    set(
        new Asked("power limit", new NvmlDevice.Range(powerLimitMw, powerLimitMw), "mW"),
        () -> device.setPowerLimitMw(powerLimitMw),
        device::powerLimitsMw);
  }

  @Override
  public void setPersistenceMode(boolean enabled) {
    run(() -> device.setPersistenceMode(enabled));
  }

  @Override
  public void setGpuLockedClocks(long minClockMhz, long maxClockMhz) {
    set(
        new Asked("GPU clock", new NvmlDevice.Range(minClockMhz, maxClockMhz), "MHz"),
        () -> device.setGpuLockedClocksMhz(minClockMhz, maxClockMhz),
        device::gpuClocksMhz);
  }

  @Override
  public void setMemLockedClocks(long minClockMhz, long maxClockMhz) {
    set(
        new Asked("memory clock", new NvmlDevice.Range(minClockMhz, maxClockMhz), "MHz"),
        () -> device.setMemoryLockedClocksMhz(minClockMhz, maxClockMhz),
        device::memoryClocksMhz);
  }

  @Override
  public void resetGpuLockedClocks() {
    run(device::resetGpuLockedClocks);
  }

  @Override
  public void resetMemLockedClocks() {
    run(device::resetMemoryLockedClocks);
  }

  /** The one place where results of NVML become errors of a device. */
  private static DeviceException deviceException(NvmlException e, String message) {
    return switch (e.result()) {
      case INVALID_ARGUMENT, FREQ_NOT_SUPPORTED -> new DeviceException.InvalidArgument(message, e);
      case NOT_SUPPORTED, FUNCTION_NOT_FOUND -> new DeviceException.NotSupported(message, e);
      case NO_PERMISSION -> new DeviceException.NoPermission(message, e);
      default -> new DeviceException.Failed(message, e);
    };
  }
}
