package dev.zeusd.core.energy;

import dev.zeusd.core.device.DeviceException;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * A device whose energy is measured for all windows that want it. It is asked on its own thread.
 *
 * <p>Thread-safe.
 */
abstract sealed class MeteredDevice permits MeteredGpu, MeteredCpu {
  /** The reading that was begun last. */
  private volatile CompletableFuture<?> reading = CompletableFuture.completedFuture(null);

  private volatile Optional<String> problem = Optional.empty();

  /** What it is known by, also to the next process; without spaces. */
  abstract String key();

  /** Its id by now; of one that is not there, its last one. */
  abstract int id();

  /** Whether it is there by now. */
  abstract boolean isThere();

  /** The energies that it has, of which the first one is never missing. */
  abstract List<Tally> tallies();

  /** What a window that begins wants to know of it, which has not begun so far. */
  abstract List<Span> newSpans();

  /** Where they stand. */
  final List<Optional<Tally.State>> states() {
    return tallies().stream().map(Tally::state).toList();
  }

  /** Takes over what an earlier process has left of one of {@link #tallies}. */
  abstract void goOn(Tally.Kind kind, int place, Tally.State left);

  /** Whether it has to be read now and then, so that nothing is missed. */
  abstract boolean needsReads();

  /**
   * Begins a reading.
   *
   * @return ends when the tallies have it, or with the {@link DeviceException}
   */
  abstract CompletableFuture<?> begin();

  /** Reads it; a failure is kept as {@link #problem}. Does not throw. */
  final CompletableFuture<?> read() {
    CompletableFuture<?> begun;
    try {
      begun = begin();
    } catch (DeviceException e) {
      begun = CompletableFuture.failedFuture(e);
    }
    reading = begun.whenComplete((done, failure) -> note(Optional.ofNullable(failure)));
    return reading;
  }

  private void note(Optional<Throwable> failure) {
    problem = failure.map(MeteredDevice::inWords);
    if (failure.isPresent()) {
      tallies().forEach(Tally::fail);
    }
  }

  private static String inWords(Throwable failure) {
    Throwable e = failure instanceof CompletionException ? failure.getCause() : failure;
    return e instanceof DeviceException ? e.getMessage() : e.toString();
  }

  /** As {@link #read}, unless it has not answered the last time so far. */
  final void readUnlessBusy() {
    if (reading.isDone()) {
      read();
    }
  }

  /** Why the last reading has failed, for people. */
  final Optional<String> problem() {
    return problem;
  }

  /** What a tally adds to a file. */
  final void describe(Collection<String> lines) {
    List<Tally> all = tallies();
    for (int place = 0; place < all.size(); place++) {
      Tally tally = all.get(place);
      int index = place;
      tally
          .state()
          .ifPresent(
              state ->
                  lines.add(
                      String.join(
                          " ", key(), "" + id(), "" + index, tally.kind().name(), state.text())));
    }
  }
}
