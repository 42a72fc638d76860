package dev.zeusd.core.device;

import java.util.Locale;

/**
 * What a CPU is.
 *
 * @param id the number of its RAPL zone, the {@code N} of {@code intel-rapl:N}; of a sensor of the
 *     kernel's counted from 0, or from 100 where there are RAPL zones
 * @param dramAvailable whether the energy of its DRAM is counted too
 * @param domain which part of the machine it is
 */
public record CpuInfo(int id, boolean dramAvailable, Domain domain) {
  /** Which part of a machine a counter belongs to. */
  public enum Domain {
    /** A CPU package, or one die of it. Packages do not overlap: their energies may be added up. */
    PACKAGE,
    /**
     * The module that carries a CPU, a GPU and their memory (Grace Hopper). As {@link #PSYS}, it is
     * not meant when all CPUs are.
     */
    MODULE,
    /**
     * The platform, with all packages in it, and whatever else the board's maker connected. It is
     * there for who asks for it by its id; when all CPUs are meant, it is not, since their energy
     * would be counted twice.
     */
    PSYS;

    /** {@return the name on the wire} */
    public String wireName() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
