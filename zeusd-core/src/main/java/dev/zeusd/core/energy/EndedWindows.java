package dev.zeusd.core.energy;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * What windows have told that have ended, for a while, also by the next process: an answer may be
 * lost, and is asked for again.
 *
 * <p>Thread-safe.
 */
final class EndedWindows {
  private static final long KEPT_NANOS = TimeUnit.MINUTES.toNanos(10);

  /** So many are kept; each takes a few hundred bytes for each device. */
  private static final int MOST = 256;

  private final LongSupplier clock;

  /** The oldest first; guarded by this. */
  private final Map<String, Ended> ended = new LinkedHashMap<>();

  /**
   * One of them.
   *
   * @param energy what it has told
   * @param endedNanos when that was
   */
  record Ended(EnergyWindow window, WindowEnergy energy, long endedNanos) {
    private void describe(Collection<String> lines) {
      window.describe(lines);
      lines.add("ended " + endedNanos + " " + EnergyText.of(energy));
    }
  }

  /** None so far. */
  EndedWindows(LongSupplier clock) {
    this.clock = clock;
  }

  /** A window has ended just now. */
  void add(EnergyWindow window, WindowEnergy energy) {
    add(new Ended(window, energy, clock.getAsLong()));
  }

  /** The same of one that an earlier process may have ended. */
  synchronized void add(Ended one) {
    ended.put(one.window.id(), one);
    if (ended.size() > MOST) {
      List<EnergyWindow> windows = ended.values().stream().map(Ended::window).toList();
      ended.remove(Owners.of(windows).firstOfMost(windows).id());
    }
  }

  private synchronized List<Ended> recent() {
    long now = clock.getAsLong();
    ended.values().removeIf(each -> now - each.endedNanos > KEPT_NANOS);
    return List.copyOf(ended.values());
  }

  boolean isEmpty() {
    return recent().isEmpty();
  }

  /** The one with this id, unless it has ended too long ago. */
  Optional<Ended> find(String id) {
    return recent().stream().filter(each -> each.window.id().equals(id)).findFirst();
  }

  /** For a file. */
  void describe(Collection<String> lines) {
    recent().forEach(each -> each.describe(lines));
  }
}
