package dev.zeusd.core.energy;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * The energy of one device since somebody began to measure it: a sum that only grows, of what each
 * reading adds. Windows look at it when they begin and when they end.
 *
 * <p>Thread-safe. Times are a {@link dev.zeusd.core.kernel.BootClock}'s.
 */
final class Tally {
  /** What the readings are, and what one adds to the sum. */
  enum Kind {
    /** Energy that a GPU's driver has counted since it was loaded, in mJ, as unsigned 64 bits. */
    GPU_COUNTER {
      @Override
      Step step(long before, long after, long nanos) {
        long mostMj = HIGHEST_GPU_POWER_MJ_PER_S * (nanos / NANOS_PER_SECOND + 1);
        long riseMj = after - before;
        boolean isLittleBack = riseMj < 0 && riseMj >= -UNSTEADY_MJ;
        if (isLittleBack || Long.compareUnsigned(riseMj, IMPOSSIBLE_RISE * mostMj) <= 0) {
          return new Step(riseMj * UJ_PER_MJ, true);
        }
        // Reset, as by a reload of the driver. What it has counted since is in the window.
        boolean isSinceReset = Long.compareUnsigned(after, mostMj) <= 0;
        return new Step(isSinceReset ? after * UJ_PER_MJ : 0, false);
      }
    },

    /** What a {@link dev.zeusd.core.device.EnergyCounter} has counted, in uJ, wraps included. */
    CPU_COUNTER {
      @Override
      Step step(long before, long after, long nanos) {
        // Another process may have begun anew.
        return after < before ? new Step(0, false) : new Step(after - before, true);
      }
    },

    /** Power at that moment, in mW. */
    POWER {
      @Override
      Step step(long before, long after, long nanos) {
        if (nanos > LONGEST_STEP_NANOS) {
          return new Step(0, false);
        }
        return new Step((before + after) / 2.0 * nanos * UJ_PER_MW_NS, true);
      }
    };

    /** What is added between two readings that are {@code nanos} apart. */
    abstract Step step(long before, long after, long nanos);
  }

  private static final long NANOS_PER_SECOND = TimeUnit.SECONDS.toNanos(1);

  /** 10 kW, several times as much as any GPU draws. */
  private static final long HIGHEST_GPU_POWER_MJ_PER_S = 10_000_000;

  /** A counter that goes back by that little is unsteady: after a reset, it is near 0. */
  private static final long UNSTEADY_MJ = 1_000;

  /** A rise is what was used, unless that is out of the question. */
  private static final long IMPOSSIBLE_RISE = 10;

  /** Readings of power that are farther apart say nothing of the time in between. */
  private static final long LONGEST_STEP_NANOS = 3 * NANOS_PER_SECOND;

  private static final double UJ_PER_MJ = 1e3;
  private static final double UJ_PER_MW_NS = 1e-6;

  /**
   * What a reading adds.
   *
   * @param isComplete whether that is all that was used since the reading before
   */
  record Step(double energyUj, boolean isComplete) {}

  /**
   * What there was at a reading.
   *
   * @param energyUj the sum, in uJ
   * @param gapNanos how much of the time until then nobody looked
   * @param missingNanos for how much of it the sum lacks the energy
   * @param readNanos when it was read
   * @param value what was read
   */
  record State(double energyUj, long gapNanos, long missingNanos, long readNanos, long value) {
    private static State first(long value, long readNanos) {
      return new State(0, 0, 0, readNanos, value);
    }

    String text() {
      return String.join(
          " ",
          Double.toString(energyUj),
          Long.toString(gapNanos),
          Long.toString(missingNanos),
          Long.toString(readNanos),
          Long.toString(value));
    }

    /**
     * What {@link #text} has written.
     *
     * @throws IllegalArgumentException for anything else
     * @throws IndexOutOfBoundsException the same
     */
    static State parse(List<String> words) {
      double energyUj = Double.parseDouble(words.get(0));
      if (!Double.isFinite(energyUj)) {
        throw new IllegalArgumentException(words.get(0) + " uJ");
      }
      return new State(
          energyUj,
          Long.parseLong(words.get(1)),
          Long.parseLong(words.get(2)),
          Long.parseLong(words.get(3)),
          Long.parseLong(words.get(4)));
    }
  }

  private final Kind kind;

  // Guarded by this.
  private Optional<State> state;

  /** Whether a reading has failed since the last one, or this process is another one. */
  private boolean isInterrupted;

  /** Nothing was read so far. */
  Tally(Kind kind) {
    this.kind = kind;
    this.state = Optional.empty();
  }

  /** What an earlier process has left. */
  Tally(Kind kind, State left) {
    this.kind = kind;
    this.state = Optional.of(left);
    this.isInterrupted = true;
  }

  Kind kind() {
    return kind;
  }

  /** As of the last reading; empty before the first one. */
  synchronized Optional<State> state() {
    return state;
  }

  /** A reading has failed. */
  synchronized void fail() {
    // Of power there are many, and one that is missing does no harm.
    isInterrupted |= kind != Kind.POWER;
  }

  /** Whether there is a reading, and none has failed since. */
  synchronized boolean isCurrent() {
    return state.isPresent() && !isInterrupted;
  }

  /**
   * Adds a reading; one that comes late is left out.
   *
   * @param isWhole whether the device says that it has counted all since the reading before
   */
  synchronized void add(long value, long readNanos, boolean isWhole) {
    if (state.isEmpty()) {
      state = Optional.of(State.first(value, readNanos));
      isInterrupted = false;
      return;
    }
    State last = state.get();
    long nanos = readNanos - last.readNanos;
    if (nanos <= 0) {
      return;
    }
    boolean saysNothing = isInterrupted && kind == Kind.POWER;
    Step step = saysNothing ? new Step(0, false) : kind.step(last.value, value, nanos);
    boolean isMissing = !isWhole || !step.isComplete;
    boolean isGap = isInterrupted || isMissing;
    state =
        Optional.of(
            new State(
                last.energyUj + step.energyUj,
                last.gapNanos + (isGap ? nanos : 0),
                last.missingNanos + (isMissing ? nanos : 0),
                readNanos,
                value));
    isInterrupted = false;
  }
}
