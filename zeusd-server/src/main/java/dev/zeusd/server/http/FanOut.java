package dev.zeusd.server.http;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.server.connection.Connection;
import io.helidon.webserver.http.ServerRequest;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.function.IntFunction;

/**
 * One call on several devices, side by side, and what came of it.
 *
 * <p>The calling thread starts them one after the other, and a device that is idle and quick is
 * asked right then. Should one of these hang, {@link #startRest} starts those that are left, from
 * another thread, and {@link #outcome} tells what has come of all.
 *
 * @param <T> what a device answers
 */
final class FanOut<T> {
  /** How often to look whether a call that hangs at its beginning has come back. */
  private static final long LOOK_NANOS = 20_000_000;

  private final List<Integer> ids;
  private final IntFunction<CompletableFuture<T>> call;
  private final long deadlineNanos = System.nanoTime() + Answer.PATIENCE.toNanos();

  /** By place in {@link #ids}; null where a call has not begun, or hangs at its beginning. */
  private final AtomicReferenceArray<CompletableFuture<T>> started;

  /** The place of the device that is asked next. */
  private final AtomicInteger next = new AtomicInteger();

  /** Nothing is called yet. */
  FanOut(Collection<Integer> ids, IntFunction<CompletableFuture<T>> call) {
    this.ids = List.copyOf(ids);
    this.call = call;
    this.started = new AtomicReferenceArray<>(this.ids.size());
  }

  /**
   * What came of the calls.
   *
   * @param values by ascending id
   * @param failures of the other devices
   */
  record Outcome<T>(SortedMap<Integer, T> values, Map<Integer, DeviceException> failures) {
    /**
     * The body of the answer.
     *
     * @param form writes the values
     * @throws DeviceErrors if at least one device failed, with the values of the others
     */
    byte[] json(Function<SortedMap<Integer, T>, byte[]> form) {
      if (failures.isEmpty()) {
        return form.apply(values);
      }
      throw new DeviceErrors(
          failures, values.isEmpty() ? Optional.empty() : Optional.of(form.apply(values)));
    }

    /**
     * Where there is nothing to tell but failures.
     *
     * @throws DeviceErrors if at least one device failed
     */
    void requireSuccess() {
      if (!failures.isEmpty()) {
        throw new DeviceErrors(failures, Optional.empty());
      }
    }
  }

  /** Starts {@code call} for every id, then waits for all, together no longer than for one. */
  static <T> Outcome<T> all(Collection<Integer> ids, IntFunction<CompletableFuture<T>> call) {
    return new FanOut<>(ids, call).run();
  }

  /** Starts the call for every id, then waits for all, together no longer than for one. */
  Outcome<T> run() {
    for (int place = next.getAndIncrement(); place < ids.size(); place = next.getAndIncrement()) {
      start(place);
    }
    return outcome(deadlineNanos);
  }

  /**
   * Asks the devices for a request of {@code requester}. Should one of them hold up the calling
   * thread, the request is answered all the same: with what the others say, and an error for that
   * one.
   *
   * @param body of the answer; throws {@link DeviceErrors} if there are failures
   */
  byte[] answer(ServerRequest request, Requester requester, Function<Outcome<T>, byte[]> body) {
    requester
        .connection()
        .begin(new Answering<>(this, body, Routes.isHead(request), requester.audited()));
    return body.apply(run());
  }

  private record Answering<T>(
      FanOut<T> devices,
      Function<Outcome<T>, byte[]> body,
      boolean isHead,
      Optional<AuditedRequest> audited)
      implements Connection.Work {
    @Override
    public boolean isHeldUp() {
      return devices.isHeldUp();
    }

    @Override
    public boolean mayTakeLonger() {
      return devices.mayTakeLonger();
    }

    @Override
    public Optional<Connection.Answer> finish(long latestNanos) {
      devices.startRest();
      Outcome<T> outcome = devices.outcome(latestNanos);
      if (!devices.isHeldUp()) {
        return Optional.empty();
      }
      try {
        body.apply(outcome);
        throw new IllegalStateException("a device that hangs has failed");
      } catch (DeviceErrors e) {
        return Optional.of(
            new Connection.Answer(
                ErrorMapper.inPlaceOfHandler(e, isHead),
                () -> audited.ifPresent(each -> each.answered(e))));
      }
    }
  }

  private void start(int place) {
    CompletableFuture<T> running;
    try {
      running = call.apply(ids.get(place));
    } catch (DeviceException e) {
      running = CompletableFuture.failedFuture(e);
    }
    started.set(place, running);
  }

  /** Whether one of the calls that were begun has not come back from its beginning. */
  boolean isHeldUp() {
    int begun = Math.min(next.get(), ids.size());
    for (int place = 0; place < begun; place++) {
      if (started.get(place) == null) {
        return true;
      }
    }
    return false;
  }

  private boolean mayTakeLonger() {
    for (int place = 0; place < ids.size(); place++) {
      if (Answer.mayTakeLonger(started.get(place))) {
        return true;
      }
    }
    return false;
  }

  /** Starts the calls that wait behind one that holds up {@link #run}. */
  void startRest() {
    for (int place = next.getAndIncrement(); place < ids.size(); place = next.getAndIncrement()) {
      int each = place;
      // Each on its own: the next one may hang, too.
      Thread.ofVirtual().start(() -> start(each));
    }
  }

  /**
   * Waits for all calls, but not beyond the time of one, nor beyond {@code latestNanos}, as {@link
   * System#nanoTime} has it.
   */
  Outcome<T> outcome(long latestNanos) {
    long deadline = latestNanos - deadlineNanos < 0 ? latestNanos : deadlineNanos;
    SortedMap<Integer, T> values = new TreeMap<>();
    Map<Integer, DeviceException> failures = new TreeMap<>();
    for (int place = 0; place < ids.size(); place++) {
      try {
        values.put(ids.get(place), Answer.await(awaitStart(place, deadline), deadline));
      } catch (DeviceException e) {
        failures.put(ids.get(place), e);
      }
    }
    return new Outcome<>(values, failures);
  }

  private CompletableFuture<T> awaitStart(int place, long deadline) {
    CompletableFuture<T> running = started.get(place);
    while (running == null && System.nanoTime() - deadline < 0) {
      LockSupport.parkNanos(LOOK_NANOS);
      running = started.get(place);
    }
    return running == null ? CompletableFuture.failedFuture(Answer.missing()) : running;
  }
}
