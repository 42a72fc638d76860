package dev.zeusd.core.energy;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;

/** Puts together what an earlier process has left in its files. For one thread. */
final class LeftWindows implements SavedWindows.Recovery {
  private final BiFunction<String, Integer, MeteredDevice> devices;
  private final OpenWindows.Maker maker;
  private final Target target;
  private final Map<String, MeteredDevice> left = new HashMap<>();
  private final List<EnergyWindow.Facts> facts = new ArrayList<>();
  private final List<List<Span>> spans = new ArrayList<>();

  /** What the windows have told that have ended, and when, by their places above. */
  private final Map<Integer, Told> told = new HashMap<>();

  private record Told(WindowEnergy energy, long endedNanos) {}

  /** Takes all of it. */
  interface Target {
    void take(
        Collection<MeteredDevice> devices,
        List<EnergyWindow> windows,
        List<EndedWindows.Ended> ended);
  }

  /**
   * Nothing so far.
   *
   * @param devices makes a device by its key and the id that it had
   * @param target is told at the end, if all made sense
   */
  LeftWindows(
      BiFunction<String, Integer, MeteredDevice> devices, OpenWindows.Maker maker, Target target) {
    this.devices = devices;
    this.maker = maker;
    this.target = target;
  }

  private MeteredDevice device(String key, int id) {
    return left.computeIfAbsent(key, unknown -> devices.apply(key, id));
  }

  @Override
  public void tally(String key, int id, int place, Tally.Kind kind, Tally.State state) {
    device(key, id).goOn(kind, place, state);
  }

  @Override
  public void window(EnergyWindow.Facts window) {
    facts.add(window);
    spans.add(new ArrayList<>());
  }

  @Override
  public void span(String key, int id, int place, Optional<Tally.State> start) {
    MeteredDevice device = device(key, id);
    // Without what was measured since, as where its file was damaged, it begins anew, which is
    // told.
    boolean goesOn = device.states().stream().skip(place).findFirst().flatMap(at -> at).isPresent();
    spans.getLast().add(new Span(device, place, start.filter(known -> goesOn)));
  }

  @Override
  public void ended(long endedNanos, List<String> energy) {
    told.put(facts.size() - 1, new Told(EnergyText.parse(facts.getLast(), energy), endedNanos));
  }

  @Override
  public void finish() {
    List<EnergyWindow> windows = new ArrayList<>();
    List<EndedWindows.Ended> ended = new ArrayList<>();
    for (int i = 0; i < facts.size(); i++) {
      EnergyWindow window = maker.make(facts.get(i), spans.get(i));
      Told end = told.get(i);
      if (end == null) {
        windows.add(window);
      } else {
        ended.add(new EndedWindows.Ended(window, end.energy, end.endedNanos));
      }
    }
    target.take(left.values(), windows, ended);
  }
}
