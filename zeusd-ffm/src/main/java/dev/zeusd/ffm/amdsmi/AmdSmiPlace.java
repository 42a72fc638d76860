package dev.zeusd.ffm.amdsmi;

import java.util.HexFormat;

/**
 * Where a GPU is, by which it is known again after a reload of the driver.
 *
 * @param bdf its PCI address as AMD SMI packs it, or {@link #UNKNOWN}
 * @param ordinal which one it is of those with the same address: parts of a GPU may share one
 */
public record AmdSmiPlace(long bdf, int ordinal) {
  /** Of a GPU that does not tell where it is. */
  static final long UNKNOWN = -1;

  /** Whether the PCI address is known. */
  public boolean isKnown() {
    return bdf != UNKNOWN;
  }

  /** As {@code lspci -D} prints it, such as {@code 0000:c1:00.0}. */
  @Override
  public String toString() {
    if (!isKnown()) {
      return "GPU " + ordinal;
    }
    HexFormat hex = HexFormat.of();
    long domain = bdf >>> 16;
    return (domain > 0xffff ? Long.toHexString(domain) : hex.toHexDigits(domain, 4))
        + ":"
        + hex.toHexDigits(bdf >>> 8, 2)
        + ":"
        + hex.toHexDigits(bdf >>> 3 & 0x1f, 2)
        + "."
        + (bdf & 7)
        + (ordinal == 0 ? "" : "#" + ordinal);
  }
}
