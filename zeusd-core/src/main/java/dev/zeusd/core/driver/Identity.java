package dev.zeusd.core.driver;

import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.ffm.driver.BackOff;
import java.util.List;
import java.util.Optional;

/**
 * What a GPU tells of itself, fact by fact: one that fails costs no other, and what may still come
 * is asked for again, more and more seldom. For one thread at a time.
 */
public final class Identity {
  private static final System.Logger LOG = System.getLogger(DriverGpu.class.getName());

  private final int id;
  private final Fact<String> name;
  private final Fact<String> uuid;
  private final Fact<String> pciAddress;
  private final Fact<Boolean> countsEnergy;
  private final List<Fact<?>> facts;
  private final BackOff retries = new BackOff(0, 1_000_000_000L, 60_000_000_000L);

  /** Nothing is asked yet. */
  public Identity(
      int id,
      Question<String> name,
      Question<String> uuid,
      Question<String> pciAddress,
      Question<Boolean> countsEnergy) {
    this.id = id;
    this.name = new Fact<>("name", name);
    this.uuid = new Fact<>("UUID", uuid);
    this.pciAddress = new Fact<>("PCI address", pciAddress);
    this.countsEnergy = new Fact<>("energy", countsEnergy);
    this.facts = List.of(this.pciAddress, this.name, this.uuid, this.countsEnergy);
  }

  /** Whether there is something left to be asked, and it is time to. */
  boolean isDue() {
    return !isSettled() && !retries.isWaiting();
  }

  private boolean isSettled() {
    for (Fact<?> fact : facts) {
      if (!fact.isSettled()) {
        return false;
      }
    }
    return true;
  }

  /** Whether the driver has said that it never tells one; from any thread. */
  boolean hasNoUuid() {
    return uuid.isNeverTold();
  }

  /** Asks for what is not known; what fails is logged, once for each fact. */
  public void ask() {
    List<String> complaints = facts.stream().map(Fact::ask).flatMap(Optional::stream).toList();
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

  /** What is known by now. */
  public GpuInfo info(PowerScope scope) {
    return new GpuInfo(
        id,
        name.value().orElse("unknown"),
        uuid.value(),
        pciAddress.value(),
        countsEnergy.value(),
        scope);
  }
}
