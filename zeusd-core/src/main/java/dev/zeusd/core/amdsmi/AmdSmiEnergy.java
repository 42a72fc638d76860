package dev.zeusd.core.amdsmi;

import dev.zeusd.ffm.amdsmi.AmdSmiDevice;
import dev.zeusd.ffm.amdsmi.AmdSmiException;
import dev.zeusd.ffm.driver.DriverException;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;

/**
 * The energy counter of a GPU. On some GPUs it is wrong by orders of magnitude (ROCm/amdsmi#38),
 * and one die of a pair shows nothing: so it is compared once with the power, over half a second,
 * and used only if both agree to a factor of ten. For one thread at a time.
 */
final class AmdSmiEnergy {
  private static final System.Logger LOG = System.getLogger(AmdSmiGpu.class.getName());
  private static final long COMPARED_NANOS = 500_000_000L;
  private static final long MAX_COMPARED_NANOS = 5_000_000_000L;
  private static final double UJ_PER_MJ = 1000;
  private static final double MAX_RATIO = 10;

  private final int gpuId;
  private final AmdSmiDevice device;

  private Optional<Sample> first = Optional.empty();
  private Optional<Boolean> right = Optional.empty();

  private record Sample(double energyUj, long powerMw, long nanos) {}

  AmdSmiEnergy(int gpuId, AmdSmiDevice device) {
    this.gpuId = gpuId;
    this.device = device;
  }

  private Sample sample() throws AmdSmiException {
    return new Sample(device.energyUj(), device.powerMw(), System.nanoTime());
  }

  /** Compares it now, which takes half a second; what fails is asked for anew by the next call. */
  void compare() {
    try {
      isRight();
    } catch (AmdSmiException e) {
      if (first.isPresent()) {
        LockSupport.parkNanos(COMPARED_NANOS);
      }
    }
  }

  /**
   * Whether it counts and can be believed.
   *
   * @throws AmdSmiException also if half a second has to pass before that is known
   */
  boolean isRight() throws AmdSmiException {
    if (right.isEmpty()) {
      try {
        right = Optional.of(agreesWithPower());
      } catch (AmdSmiException e) {
        if (e.kind() != DriverException.Kind.NOT_SUPPORTED) {
          throw e;
        }
        right = Optional.of(false);
      }
    }
    return right.get();
  }

  private boolean agreesWithPower() throws AmdSmiException {
    Sample now = sample();
    long nanos = first.map(before -> now.nanos - before.nanos).orElse(Long.MAX_VALUE);
    if (nanos > MAX_COMPARED_NANOS) {
      first = Optional.of(now);
    }
    if (nanos < COMPARED_NANOS || nanos > MAX_COMPARED_NANOS) {
      throw AmdSmiException.notYet(
          "reading the energy: the counter is being compared with the power; try again in half a"
              + " second");
    }
    Sample before = first.orElseThrow();
    double usedMj = (now.energyUj - before.energyUj) / UJ_PER_MJ;
    double expectedMj = (before.powerMw + now.powerMw) / 2.0 * (nanos / 1e9);
    boolean agrees = usedMj > expectedMj / MAX_RATIO && usedMj < expectedMj * MAX_RATIO;
    if (!agrees) {
      LOG.log(
          System.Logger.Level.INFO,
          "GPU {0}: its energy counter shows {1} mJ where its power makes {2} mJ, so it is not"
              + " used (ROCm/amdsmi#38)",
          gpuId,
          Math.round(usedMj),
          Math.round(expectedMj));
    }
    return agrees;
  }

  /** Energy since the driver was loaded, in mJ. */
  long energyMj() throws AmdSmiException {
    if (!isRight()) {
      throw AmdSmiException.notSupported(
          "reading the energy: this GPU's counter does not agree with its power, or there is none;"
              + " read its power instead");
    }
    return (long) (device.energyUj() / UJ_PER_MJ);
  }
}
