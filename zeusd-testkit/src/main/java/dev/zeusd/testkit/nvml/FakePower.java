package dev.zeusd.testkit.nvml;

import dev.zeusd.testkit.control.ControlFile;

/**
 * What a fake GPU draws, and the energy that comes of it. The energy is anchored at a moment, and
 * is the integral of the power from there on; a change of power moves the anchor, under a sequence
 * number that is odd meanwhile, so that the library sees both or neither.
 */
final class FakePower {
  private static final int CONSTANT = 0;
  private static final int SINE = 1;
  private static final int COUNTING = 2;

  private static final long SEQUENCE = 256;
  private static final long SOURCE = 260;
  private static final long MEAN_MW = 264;
  private static final long AMPLITUDE_MW = 272;
  private static final long PERIOD_MS = 280;
  private static final long ANCHOR_MJ = 288;
  private static final long ANCHOR_NS = 296;
  private static final long READS = 304;
  private static final long HAS_FIXED_ENERGY = 320;
  private static final long FIXED_MJ = 328;

  private final ControlFile file;
  private final long slot;

  FakePower(ControlFile file, long slot) {
    this.file = file;
    this.slot = slot;
  }

  void constant(long powerMw) {
    set(CONSTANT, powerMw, 0, 0);
  }

  void sine(long meanMw, long amplitudeMw, long periodMs) {
    if (amplitudeMw < 0 || amplitudeMw > meanMw || periodMs <= 0) {
      throw new IllegalArgumentException("need 0 <= amplitude <= mean and period > 0");
    }
    set(SINE, meanMw, amplitudeMw, periodMs);
  }

  void counting(long baseMw) {
    file.setLong(slot + READS, 0L);
    set(COUNTING, baseMw, 0, 0);
  }

  long reads() {
    return file.getLong(slot + READS);
  }

  void fixEnergy(long energyMj) {
    file.setLong(slot + FIXED_MJ, energyMj);
    file.setInt(slot + HAS_FIXED_ENERGY, 1);
  }

  void integrateFrom(long startMj) {
    synchronized (file) {
      anchor(() -> {}, startMj);
    }
    file.setInt(slot + HAS_FIXED_ENERGY, 0);
  }

  private void set(int source, long meanMw, long amplitudeMw, long periodMs) {
    synchronized (file) {
      anchor(
          () -> {
            file.setInt(slot + SOURCE, source);
            file.setLong(slot + MEAN_MW, meanMw);
            file.setLong(slot + AMPLITUDE_MW, amplitudeMw);
            file.setLong(slot + PERIOD_MS, periodMs);
          },
          Double.NaN);
    }
  }

  /** Changes the power under the odd sequence number; NaN: the energy is what it is by now. */
  private void anchor(Runnable change, double energyMj) {
    int sequence = file.getInt(slot + SEQUENCE) | 1;
    file.setInt(slot + SEQUENCE, sequence);
    long now = System.nanoTime();
    double mj = Double.isNaN(energyMj) ? integralMj(now) : energyMj;
    change.run();
    file.setDouble(slot + ANCHOR_MJ, mj);
    file.setLong(slot + ANCHOR_NS, now);
    file.setInt(slot + SEQUENCE, sequence + 1);
  }

  private double integralMj(long now) {
    long anchor = file.getLong(slot + ANCHOR_NS);
    if (anchor == 0) {
      return 0; // just reset
    }
    double mwNs = (double) file.getLong(slot + MEAN_MW) * (now - anchor);
    double period = file.getLong(slot + PERIOD_MS) * 1e6;
    if (file.getInt(slot + SOURCE) == SINE) {
      mwNs +=
          file.getLong(slot + AMPLITUDE_MW)
              * period
              / (2 * Math.PI)
              * (Math.cos(2 * Math.PI * (anchor % period) / period)
                  - Math.cos(2 * Math.PI * (now % period) / period));
    }
    return file.getDouble(slot + ANCHOR_MJ) + mwNs / 1e9;
  }
}
