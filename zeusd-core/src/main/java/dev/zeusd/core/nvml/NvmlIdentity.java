package dev.zeusd.core.nvml;

import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.ffm.nvml.BackOff;
import dev.zeusd.ffm.nvml.NvmlDevice;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlReturn;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a GPU tells of itself, fact by fact: one that fails costs no other, and what may still come
 * is asked for again, more and more seldom. For one thread at a time.
 */
final class NvmlIdentity {
  private static final System.Logger LOG = System.getLogger(NvmlGpu.class.getName());

  private final int id;
  private final NvmlDevice device;
  private final NvmlFact<String> name = new NvmlFact<>("name");
  private final NvmlFact<String> uuid = new NvmlFact<>("UUID");
  private final NvmlFact<String> pciAddress = new NvmlFact<>("PCI address");
  private final NvmlFact<Boolean> countsEnergy = new NvmlFact<>("energy");
  private final BackOff retries = new BackOff(0, 1_000_000_000L, 60_000_000_000L);

  NvmlIdentity(int id, NvmlDevice device) {
    this.id = id;
    this.device = device;
  }

  /** Whether there is something left to be asked, and it is time to. */
  boolean isDue() {
    return !isSettled() && !retries.isWaiting();
  }

  private boolean isSettled() {
    return name.isSettled()
        && uuid.isSettled()
        && pciAddress.isSettled()
        && countsEnergy.isSettled();
  }

  /** Asks for what is not known; what fails is logged, once for each fact. */
  void ask() {
    List<String> complaints =
        Stream.of(
                pciAddress.ask(() -> text(device.pciAddress())),
                name.ask(device::name),
                uuid.ask(device::uuid),
                countsEnergy.ask(this::countsEnergy))
            .flatMap(Optional::stream)
            .toList();
    if (!complaints.isEmpty()) {
      LOG.log(
          System.Logger.Level.WARNING,
          "GPU {0} does not tell all of itself: {1}",
          id,
          String.join("; ", complaints));
    }
    if (isSettled()) {
      retries.reset();
    } else {
      retries.failed();
    }
  }

  /** An error that says that the GPU cannot is an answer. */
  private boolean countsEnergy() throws NvmlException {
    try {
      device.totalEnergyMj();
      return true;
    } catch (NvmlException e) {
      if (e.result() == NvmlReturn.NOT_SUPPORTED || e.result() == NvmlReturn.FUNCTION_NOT_FOUND) {
        return false;
      }
      throw e;
    }
  }

  GpuInfo info(PowerScope scope) {
    return new GpuInfo(
        id,
        name.value().orElse("unknown"),
        uuid.value(),
        pciAddress.value(),
        countsEnergy.value(),
        scope);
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
}
