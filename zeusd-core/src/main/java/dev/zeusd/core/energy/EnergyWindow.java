package dev.zeusd.core.energy;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The energy of some devices from a moment on. It goes on until it is ended, by whoever knows its
 * id, or its time is over; also when this process dies, and another one with the same state
 * directory begins.
 *
 * <p>Thread-safe.
 */
public final class EnergyWindow implements AutoCloseable {
  private final EnergyMeter meter;
  private final Facts facts;
  private final WindowSpans spans;

  /**
   * What does not change.
   *
   * @param startedMs when it began, in ms since 1970
   * @param beginNanos the same by the meter's clock
   * @param expiresNanos when its time is over
   */
  record Facts(
      String id, String name, String owner, long startedMs, long beginNanos, long expiresNanos) {
    private String text() {
      return String.join(
          " ",
          "window",
          id,
          SavedWindows.encode(owner),
          SavedWindows.encode(name),
          Long.toString(startedMs),
          Long.toString(beginNanos),
          Long.toString(expiresNanos));
    }
  }

  /** It has not looked at its devices so far. */
  EnergyWindow(EnergyMeter meter, Facts facts, List<Span> spans) {
    this.meter = meter;
    this.facts = facts;
    this.spans = new WindowSpans(spans);
  }

  /** {@return what others find it by, with {@link EnergyMeter#find}; nobody can guess it} */
  public String id() {
    return facts.id;
  }

  /** {@return what its owner calls it; may be empty} */
  public String name() {
    return facts.name;
  }

  /** {@return whose it is, in words} */
  public String owner() {
    return facts.owner;
  }

  /** {@return when it began, in ms since 1970} */
  public long startedMs() {
    return facts.startedMs;
  }

  /** {@return how long it stays open if nobody ends it} */
  public Duration expiresIn() {
    return Duration.ofNanos(Math.max(0, facts.expiresNanos - meter.now()));
  }

  boolean isExpired(long nowNanos) {
    return nowNanos - facts.expiresNanos >= 0;
  }

  /** {@return the GPUs that it measures, by id} */
  public Set<Integer> gpuIds() {
    return spans.ids(MeteredGpu.class);
  }

  /** {@return the CPUs that it measures, by id} */
  public Set<Integer> cpuIds() {
    return spans.ids(MeteredCpu.class);
  }

  Collection<MeteredDevice> devices() {
    return spans.devices();
  }

  /**
   * Reads the devices, and tells the energy so far. A device that cannot be read costs only itself.
   *
   * @return what it has measured
   * @throws WindowException.Ended if it has been ended
   */
  public WindowEnergy soFar() {
    meter.find(id());
    return read();
  }

  /**
   * The same, and ends it. Within ten minutes after that, this returns the same once more, so that
   * whoever has not got the answer may ask again.
   *
   * @return what it has measured
   * @throws WindowException.Ended if its time was over, it was closed, or it ended before that
   */
  public WindowEnergy end() {
    return meter.end(this);
  }

  /** Ends it, whatever it has measured. Idempotent. */
  @Override
  public void close() {
    meter.remove(this, Optional.empty());
  }

  /** Looks where its devices stand, of those that have answered since it began. */
  boolean begin() {
    return spans.begin(facts.beginNanos);
  }

  /** As {@link #soFar}, whether it is open or not. */
  WindowEnergy read() {
    long askedNanos = meter.now();
    // Others are read again while one lets wait.
    Map<MeteredDevice, List<Optional<Tally.State>>> told = new ConcurrentHashMap<>();
    meter.read(devices(), device -> told.put(device, device.states()));
    begin();
    return spans.energy(facts, askedNanos, told);
  }

  void describe(Collection<String> lines) {
    lines.add(facts.text());
    spans.describe(lines);
  }

  @Override
  public String toString() {
    return "energy window "
        + id().substring(0, Math.min(8, id().length()))
        + (name().isEmpty() ? "" : " '" + name() + "'")
        + " of "
        + owner();
  }
}
