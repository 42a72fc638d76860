package dev.zeusd.core.driver;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.ffm.driver.BackOff;
import dev.zeusd.ffm.driver.DriverException;
import java.util.Optional;

/**
 * A GPU behind the library of its vendor.
 *
 * <p>What reads is asked with back-off while it fails: of the power whatever the failure, since a
 * stream asks for that many times a second; else where the library does not reach the GPU at all.
 * Between two tries the last failure is the answer. What writes is always tried.
 */
public abstract class DriverGpu implements Gpu {
  private static final System.Logger LOG = System.getLogger(DriverGpu.class.getName());

  private final Identity identity;
  private final Failures failures = new Failures();
  private final Failures powerFailures = new Failures();
  private final Failures modulePowerFailures = new Failures();
  private final PowerQuestion ownPower = this::readPowerMw;
  private volatile GpuInfo info;

  /** Nothing is asked yet. */
  protected DriverGpu(int id, Identity identity) {
    this.identity = identity;
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

  // ---- What it is ----

  @Override
  public final GpuInfo info() {
    return info;
  }

  /** Replaces what {@link #info} gives. */
  protected final void setInfo(GpuInfo told) {
    info = told;
  }

  @Override
  public final Optional<String> whyNeverLent() {
    return identity.hasNoUuid() ? Optional.of(NO_UUID) : Optional.empty();
  }

  /** Asks the GPU for what is not known of it. */
  protected abstract GpuInfo describe();

  @Override
  public void identify() {
    info = describe();
  }

  /** After a call that worked. */
  private void describeIfUnknown() {
    if (!identity.isDue()) {
      return;
    }
    GpuInfo before = info;
    info = describe();
    if (!info.equals(before)) {
      LOG.log(
          System.Logger.Level.INFO,
          "GPU {0} answers now: {1} at {2}",
          info.id(),
          info.name(),
          info.pciAddress().orElse("an unknown address"));
    }
  }

  // ---- Readings ----

  /** The power now, in mW. */
  protected abstract long readPowerMw() throws DriverException;

  /** Asks for a power, in mW; no {@link Question}, which would make an object of the number. */
  @FunctionalInterface
  protected interface PowerQuestion {
    /** Asks. */
    long ask() throws DriverException;
  }

  @Override
  public final long powerMw() {
    return power(ownPower, powerFailures);
  }

  /** The power of the module that carries it, in mW. */
  protected final long modulePowerMw(PowerQuestion question) {
    return power(question, modulePowerFailures);
  }

  private long power(PowerQuestion question, Failures earlier) {
    earlier.throwWhileWaiting();
    try {
      long powerMw = question.ask();
      earlier.end();
      describeIfUnknown();
      return powerMw;
    } catch (DriverException e) {
      DeviceException failure = deviceException(e, e.getMessage());
      earlier.add(failure);
      throw failure;
    }
  }

  /** Asks for anything else. */
  protected final <T> T get(Question<T> question) {
    failures.throwWhileWaiting();
    return call(question);
  }

  private <T> T call(Question<T> question) {
    try {
      T value = question.ask();
      failures.end();
      describeIfUnknown();
      return value;
    } catch (DriverException e) {
      DeviceException failure = deviceException(e, e.getMessage());
      if (e.kind() == DriverException.Kind.GONE) {
        failures.add(failure);
      } else {
        failures.end();
      }
      throw failure;
    }
  }

  // ---- Settings ----

  /** What sets something. */
  @FunctionalInterface
  protected interface Command {
    /** Runs it. */
    void run() throws DriverException;
  }

  /** Runs what sets something. */
  protected final void run(Command command) {
    call(
        () -> {
          command.run();
          return null;
        });
  }

  /** Runs what sets a value; a refusal of the value says what is possible. */
  protected final void set(Refusal refusal, Command command, Question<Refusal.Range> possible) {
    run(
        () -> {
          try {
            command.run();
          } catch (DriverException e) {
            if (e.kind() != DriverException.Kind.INVALID_ARGUMENT) {
              throw e;
            }
            throw deviceException(e, refusal.text(possible, e));
          }
        });
  }

  /** The one place where results of a library become errors of a device. */
  private static DeviceException deviceException(DriverException e, String message) {
    return switch (e.kind()) {
      case INVALID_ARGUMENT -> new DeviceException.InvalidArgument(message, e);
      case NOT_SUPPORTED -> new DeviceException.NotSupported(message, e);
      case NO_PERMISSION -> new DeviceException.NoPermission(message, e);
      case GONE, FAILED -> new DeviceException.Failed(message, e);
    };
  }
}
