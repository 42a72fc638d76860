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

/** The energies that a window measures, and what they are by now. Thread-safe. */
final class WindowSpans {
  private static final double UJ_PER_MJ = 1e3;

  /** Each is guarded by this. */
  private final List<Span> spans;

  WindowSpans(List<Span> spans) {
    this.spans = List.copyOf(spans);
  }

  Collection<MeteredDevice> devices() {
    return spans.stream().map(Span::device).distinct().toList();
  }

  Set<Integer> ids(Class<? extends MeteredDevice> kind) {
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

  /**
   * Looks where the devices stand, of those that have answered since the window began.
   *
   * @return whether there are any that had not before
   */
  synchronized boolean begin(long beginNanos) {
    boolean isNew = false;
    for (Span span : spans) {
      isNew |= span.tryBegin(beginNanos);
    }
    return isNew;
  }

  /**
   * What they are.
   *
   * @param window whose they are
   * @param askedNanos when the devices were asked
   * @param told where those stood then that have answered
   */
  synchronized WindowEnergy energy(
      EnergyWindow.Facts window,
      long askedNanos,
      Map<MeteredDevice, List<Optional<Tally.State>>> told) {
    SortedMap<Integer, OfGpu> gpus = new TreeMap<>();
    SortedMap<Integer, OfCpu> cpus = new TreeMap<>();
    SortedMap<Integer, String> gpuProblems = new TreeMap<>();
    SortedMap<Integer, String> cpuProblems = new TreeMap<>();
    devicesById(MeteredGpu.class)
        .forEach(
            (id, gpu) -> {
              var own = grown(gpu, window.beginNanos(), askedNanos, told).getFirst();
              put(id, own.map(known -> ofGpu(gpu, known)), gpus, problem(gpu), gpuProblems);
            });
    devicesById(MeteredCpu.class)
        .forEach(
            (id, cpu) -> {
              var parts = grown(cpu, window.beginNanos(), askedNanos, told);
              var own = parts.getFirst().map(known -> ofCpu(cpu, known, parts.getLast()));
              put(id, own, cpus, problem(cpu), cpuProblems);
            });
    return new WindowEnergy(
        window.name(),
        window.startedMs(),
        Duration.ofNanos(askedNanos - window.beginNanos()),
        gpus,
        cpus,
        gpuProblems,
        cpuProblems);
  }

  /** Of each of its tallies; holding the lock of this. */
  private List<Optional<Span.Grown>> grown(
      MeteredDevice device,
      long beginNanos,
      long askedNanos,
      Map<MeteredDevice, List<Optional<Tally.State>>> told) {
    List<Optional<Tally.State>> states = told.getOrDefault(device, device.states());
    return spans.stream()
        .filter(span -> span.device() == device)
        .map(span -> span.grown(beginNanos, askedNanos, states))
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

  /** For a file. */
  synchronized void describe(Collection<String> lines) {
    spans.forEach(span -> lines.add(span.text()));
  }
}
