package dev.zeusd.core.energy;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * One of the energies of a window: where a device's tally stood when the window began, and by how
 * much it has grown since. Guarded by its window.
 */
final class Span {
  /** A device that has told within that time after the beginning has told at the beginning. */
  private static final long AT_ONCE_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final MeteredDevice device;
  private final int place;

  /** Empty while the device has not answered since the beginning. */
  private Optional<Tally.State> start;

  /** Of the tally {@code place} of {@code device}. */
  Span(MeteredDevice device, int place, Optional<Tally.State> start) {
    this.device = device;
    this.place = place;
    this.start = start;
  }

  /**
   * What was measured.
   *
   * @param gapNanos for how long nobody looked
   * @param missingNanos how much of that is not in the energy
   */
  record Grown(double energyUj, long gapNanos, long missingNanos, Tally.Kind kind) {
    long gapMs() {
      return TimeUnit.NANOSECONDS.toMillis(gapNanos);
    }

    long missingMs() {
      return TimeUnit.NANOSECONDS.toMillis(missingNanos);
    }
  }

  MeteredDevice device() {
    return device;
  }

  private Optional<Tally> tally() {
    return device.tallies().stream().skip(place).findFirst();
  }

  /**
   * Begins, if the device has answered since the window began.
   *
   * @return whether that is new
   */
  boolean tryBegin(long beginNanos) {
    if (start.isPresent()) {
      return false;
    }
    start = tally().flatMap(Tally::state).filter(state -> state.readNanos() >= beginNanos);
    return start.isPresent();
  }

  /**
   * From the beginning to the last reading; empty if there is none since the beginning.
   *
   * @param askedNanos when the device was asked last: if it has not answered since, the time from
   *     its last answer on is missing
   * @param states where the device's tallies stood when it had answered
   */
  Optional<Grown> grown(long beginNanos, long askedNanos, List<Optional<Tally.State>> states) {
    Optional<Tally.State> now = states.stream().skip(place).findFirst().flatMap(each -> each);
    if (start.isEmpty() || now.isEmpty()) {
      return Optional.empty();
    }
    Tally.State from = start.get();
    Tally.State to = now.get();
    long lateNanos = from.readNanos() - beginNanos;
    long unknownNanos =
        (lateNanos > AT_ONCE_NANOS ? lateNanos : 0) + Math.max(0, askedNanos - to.readNanos());
    long mostNanos = askedNanos - beginNanos;
    return Optional.of(
        new Grown(
            Math.max(0, to.energyUj() - from.energyUj()),
            Math.clamp(to.gapNanos() - from.gapNanos() + unknownNanos, 0, mostNanos),
            Math.clamp(to.missingNanos() - from.missingNanos() + unknownNanos, 0, mostNanos),
            tally().orElseThrow().kind()));
  }

  String text() {
    String known = start.map(Tally.State::text).orElse(SavedWindows.NONE);
    return String.join(" ", "span", device.key(), "" + device.id(), "" + place, known);
  }
}
