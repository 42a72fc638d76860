package dev.zeusd.core.worker;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import dev.zeusd.core.device.DeviceException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;

/**
 * What a call of a device ends with, and how it is waited for. It knows whose turn it waits for,
 * and so do others that are made from it.
 *
 * @param <T> what is asked for
 */
public final class Answer<T> extends CompletableFuture<T> {
  /**
   * How long whoever waits for a device waits; a driver call that takes longer most likely hangs.
   */
  public static final Duration PATIENCE = Duration.ofSeconds(10);

  /** How often to look whether a command still waits for something else than the driver. */
  private static final long LOOK_NANOS = 1_000_000_000;

  private final DeviceWorker<?> worker;

  private final boolean isCommand;

  /** Of a command: it may wait for something else than the driver from here on. */
  private volatile boolean hasBegun;

  Answer(DeviceWorker<?> worker, boolean isCommand) {
    this.worker = worker;
    this.isCommand = isCommand;
  }

  @Override
  public <U> CompletableFuture<U> newIncompleteFuture() {
    return new Answer<>(worker, false);
  }

  /** It is called now. */
  void begin() {
    hasBegun = true;
  }

  /**
   * {@return whether this is of a command that has to wait for something else than its device, such
   * as for a program, or had to until just now} Then it takes as long as that may take, and is no
   * sign that the driver hangs.
   *
   * @param result what a device has been asked
   */
  public static boolean mayTakeLonger(CompletableFuture<?> result) {
    return result instanceof Answer<?> answer
        && answer.isCommand
        && answer.hasBegun
        && answer.worker.turn().isYieldedOrWasWithin(PATIENCE.toNanos());
  }

  /**
   * The value of what {@link DeviceWorker#submit} returned, or the exception of the call itself. A
   * call that is not over after {@link #PATIENCE} fails, and if it has not begun by then, it never
   * does, but for a read that is shared. A command that {@link YieldsTurn} waits for something else
   * has as long as that may take, and this again.
   *
   * @param <T> what is asked for
   * @param result what a device has been asked
   * @return what the device has answered
   * @throws DeviceException.Unavailable then, or if the calling thread is interrupted
   * @throws IllegalStateException if this is within a call of the device, before whose end the
   *     other one does not begin
   */
  public static <T> T await(CompletableFuture<T> result) {
    return await(result, System.nanoTime() + PATIENCE.toNanos());
  }

  /**
   * As {@link #await(CompletableFuture)}, but until a moment of {@link System#nanoTime}.
   *
   * @param <T> what is asked for
   * @param result what a device has been asked
   * @param deadlineNanos until when to wait, by {@link System#nanoTime}
   * @return what the device has answered
   */
  public static <T> T await(CompletableFuture<T> result, long deadlineNanos) {
    if (result instanceof Answer<?> answer && !result.isDone() && answer.worker.turn().isMine()) {
      throw new IllegalStateException(
          answer.worker.name()
              + ": a call that was submitted begins after this one, which cannot wait for it;"
              + " use call");
    }
    try {
      return result.isDone()
          ? result.join()
          : result.get(deadlineNanos - System.nanoTime(), NANOSECONDS);
    } catch (TimeoutException e) {
      if (mayTakeLonger(result)) {
        return await(result, System.nanoTime() + LOOK_NANOS);
      }
      result.completeExceptionally(isBehindAnother(result) ? busy() : missing());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      result.completeExceptionally(
          new DeviceException.Unavailable("interrupted while waiting for the device"));
    } catch (ExecutionException | CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException(e);
      }
    }
    return await(result, deadlineNanos);
  }

  private static boolean isBehindAnother(CompletableFuture<?> result) {
    return result instanceof Answer<?> answer
        && answer.isCommand
        && !answer.hasBegun
        && answer.worker.turn().isYieldedOrWasWithin(0);
  }

  private static DeviceException.Unavailable busy() {
    return new DeviceException.Unavailable(
        "busy for more than "
            + PATIENCE.toSeconds()
            + " s: a program that changes its settings for somebody else is running; nothing was"
            + " changed; try again later");
  }

  /** {@return what there is to say of a device that did not answer within {@link #PATIENCE}} */
  public static DeviceException.Unavailable missing() {
    return new DeviceException.Unavailable(
        "no answer within "
            + PATIENCE.toSeconds()
            + " s, a driver call seems to hang; what was asked may still happen");
  }
}
