package dev.zeusd.core.amdsmi;

import dev.zeusd.core.driver.Refusal;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice.Bound;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice.Clock;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice.ClockKind;
import dev.zeusd.ffm.amdsmi.AmdSmiException;
import dev.zeusd.ffm.driver.DriverException;
import java.util.EnumMap;
import java.util.Map;

/**
 * The locked clocks of a GPU. The driver takes one bound at a time, and the lower one may at no
 * moment be above the upper one; it can undo all that was set, but not what was set for one clock.
 * For one thread at a time.
 */
final class AmdSmiClocks {
  private static final System.Logger LOG = System.getLogger(AmdSmiGpu.class.getName());

  private final int gpuId;
  private final AmdSmiDevice device;

  /** What this process has locked. */
  private final Map<ClockKind, Refusal.Range> locked = new EnumMap<>(ClockKind.class);

  /** The bounds that there were before: as far as the driver tells, what can be set. */
  private final Map<ClockKind, Refusal.Range> possible = new EnumMap<>(ClockKind.class);

  AmdSmiClocks(int gpuId, AmdSmiDevice device) {
    this.gpuId = gpuId;
    this.device = device;
  }

  /** Locks one clock. Where the driver takes one bound and not the other, both are put back. */
  void lock(ClockKind kind, Refusal.Range wanted) throws AmdSmiException {
    if (wanted.min() > wanted.max()) {
      throw AmdSmiException.refused("locking a clock");
    }
    Refusal.Range before = bounds(kind);
    if (!locked.containsKey(kind)) {
      possible.put(kind, before);
    }
    try {
      write(kind, before, wanted);
    } catch (AmdSmiException e) {
      putBack(kind, before);
      throw e;
    }
    locked.put(kind, wanted);
  }

  private Refusal.Range bounds(ClockKind kind) throws AmdSmiException {
    Clock clock = device.clock(kind);
    return new Refusal.Range(clock.minMhz(), clock.maxMhz());
  }

  private void write(ClockKind kind, Refusal.Range before, Refusal.Range wanted)
      throws AmdSmiException {
    if (wanted.min() > before.max()) {
      device.setClockBound(kind, Bound.UPPER, wanted.max());
      device.setClockBound(kind, Bound.LOWER, wanted.min());
    } else {
      device.setClockBound(kind, Bound.LOWER, wanted.min());
      device.setClockBound(kind, Bound.UPPER, wanted.max());
    }
  }

  private void putBack(ClockKind kind, Refusal.Range before) {
    try {
      Refusal.Range now = bounds(kind);
      if (!now.equals(before)) {
        write(kind, now, before);
      }
    } catch (AmdSmiException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          "GPU {0}: a clock is half locked, and cannot be put back: {1}",
          gpuId,
          e.getMessage());
    }
  }

  /** Gives one clock back to the driver; the other one is locked again if this process had. */
  void reset(ClockKind kind) throws AmdSmiException {
    device.resetClocks();
    locked.remove(kind);
    for (Map.Entry<ClockKind, Refusal.Range> other : locked.entrySet()) {
      write(other.getKey(), bounds(other.getKey()), other.getValue());
    }
  }

  /** What can be set, as far as it is known. */
  Refusal.Range possible(ClockKind kind) throws DriverException {
    Refusal.Range known = possible.get(kind);
    return known == null ? bounds(kind) : known;
  }
}
