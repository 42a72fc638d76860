package dev.zeusd.core.energy;

import dev.zeusd.core.energy.WindowEnergy.Method;
import dev.zeusd.core.energy.WindowEnergy.OfCpu;
import dev.zeusd.core.energy.WindowEnergy.OfGpu;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The energy of some devices from a moment on. It goes on until it is ended, by whoever knows its
 * id, or its time is over; also when this process dies, and another one with the same state
 * directory begins.
 *
 * <p>Thread-safe.
 */
public final class EnergyWindow implements AutoCloseable {
  private static final double UJ_PER_MJ = 1e3;

  private final EnergyMeter meter;
  private final Facts facts;

  /** Each is guarded by this. */
  private final List<Span> spans;

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
    this.spans = List.copyOf(spans);
  }

  /** What others find it by, with {@link EnergyMeter#find}; nobody can guess it. */
  public String id() {
    return facts.id;
  }

  /** What its owner calls it; may be empty. */
  public String name() {
    return facts.name;
  }

  /** Whose it is, in words. */
  public String owner() {
    return facts.owner;
  }

  /** When it began, in ms since 1970. */
  public long startedMs() {
    return facts.startedMs;
  }

  /** How long it stays open if nobody ends it. */
  public Duration expiresIn() {
    return Duration.ofNanos(Math.max(0, facts.expiresNanos - meter.now()));
  }

  boolean isExpired(long nowNanos) {
    return nowNanos - facts.expiresNanos >= 0;
  }

  /** The GPUs that it measures, by id. */
  public Set<Integer> gpuIds() {
    return ids(MeteredGpu.class);
  }

  /** The CPUs that it measures, by id. */
  public Set<Integer> cpuIds() {
    return ids(MeteredCpu.class);
  }

  private Set<Integer> ids(Class<? extends MeteredDevice> kind) {
    return devicesById(kind).keySet();
  }

  /**
   * By the ids that they have now. One that is gone keeps its id, unless another one has got it
   * meanwhile: then it comes behind that one.
   */
  private <T extends MeteredDevice> SortedMap<Integer, T> devicesById(Class<T> kind) {
    SortedMap<Integer, T> byId = new TreeMap<>();
    List<T> gone = new ArrayList<>();
    for (MeteredDevice device : devices()) {
      if (kind.isInstance(device) && device.isThere()) {
        byId.put(device.id(), kind.cast(device));
      } else if (kind.isInstance(device)) {
        gone.add(kind.cast(device));
      }
    }
    for (T device : gone) {
      int id = device.id();
      while (byId.containsKey(id)) {
        id++;
      }
      byId.put(id, device);
    }
    return byId;
  }

  Collection<MeteredDevice> devices() {
    return spans.stream().map(Span::device).distinct().toList();
  }

  /**
   * Reads the devices, and tells the energy so far. A device that cannot be read costs only itself.
   *
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
  synchronized boolean begin() {
    boolean isNew = false;
    for (Span span : spans) {
      isNew |= span.tryBegin(facts.beginNanos);
    }
    return isNew;
  }

  private WindowEnergy read() {
    long askedNanos = meter.now();
    // Others are read again while one lets wait.
    Map<MeteredDevice, List<Optional<Tally.State>>> told = new ConcurrentHashMap<>();
    meter.read(devices(), device -> told.put(device, device.states()));
    begin();
    return energy(askedNanos, told);
  }

  private synchronized WindowEnergy energy(
      long askedNanos, Map<MeteredDevice, List<Optional<Tally.State>>> told) {
    Duration elapsed = Duration.ofNanos(askedNanos - facts.beginNanos);
    SortedMap<Integer, OfGpu> gpus = new TreeMap<>();
    SortedMap<Integer, OfCpu> cpus = new TreeMap<>();
    SortedMap<Integer, String> gpuProblems = new TreeMap<>();
    SortedMap<Integer, String> cpuProblems = new TreeMap<>();
    devicesById(MeteredGpu.class)
        .forEach(
            (id, gpu) ->
                put(
                    id,
                    grown(gpu, askedNanos, told).getFirst().map(own -> ofGpu(gpu, own)),
                    gpus,
                    problem(gpu),
                    gpuProblems));
    devicesById(MeteredCpu.class)
        .forEach(
            (id, cpu) -> {
              List<Optional<Span.Grown>> parts = grown(cpu, askedNanos, told);
              put(
                  id,
                  parts.getFirst().map(own -> ofCpu(cpu, own, parts.getLast())),
                  cpus,
                  problem(cpu),
                  cpuProblems);
            });
    return new WindowEnergy(name(), startedMs(), elapsed, gpus, cpus, gpuProblems, cpuProblems);
  }

  /** Of each of its tallies; holding the lock of this. */
  private List<Optional<Span.Grown>> grown(
      MeteredDevice device, long askedNanos, Map<MeteredDevice, List<Optional<Tally.State>>> told) {
    List<Optional<Tally.State>> states = told.getOrDefault(device, device.states());
    return spans.stream()
        .filter(span -> span.device() == device)
        .map(span -> span.grown(facts.beginNanos, askedNanos, states))
        .toList();
  }

  private static String problem(MeteredDevice device) {
    return device.problem().orElse("it has not answered so far");
  }

  private static <T> void put(
      int id,
      Optional<T> value,
      SortedMap<Integer, T> values,
      String problem,
      SortedMap<Integer, String> problems) {
    value.ifPresentOrElse(known -> values.put(id, known), () -> problems.put(id, problem));
  }

  private static OfGpu ofGpu(MeteredGpu gpu, Span.Grown grown) {
    return new OfGpu(
        Math.round(grown.energyUj() / UJ_PER_MJ),
        grown.kind() == Tally.Kind.POWER ? Method.INTEGRATED : Method.COUNTER,
        grown.gapMs(),
        grown.missingMs(),
        gpu.scope());
  }

  private static OfCpu ofCpu(MeteredCpu cpu, Span.Grown own, Optional<Span.Grown> dram) {
    return new OfCpu(
        Math.round(own.energyUj()),
        dram.map(grown -> OptionalLong.of(Math.round(grown.energyUj())))
            .orElse(OptionalLong.empty()),
        cpu.domain(),
        Math.max(own.gapMs(), dram.map(Span.Grown::gapMs).orElse(0L)),
        Math.max(own.missingMs(), dram.map(Span.Grown::missingMs).orElse(0L)));
  }

  synchronized void describe(Collection<String> lines) {
    lines.add(facts.text());
    spans.forEach(span -> lines.add(span.text()));
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
