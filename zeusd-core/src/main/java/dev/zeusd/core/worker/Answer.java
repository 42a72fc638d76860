package dev.zeusd.core.worker;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import dev.zeusd.core.device.DeviceException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;

/**
 * What a call of a device ends with. It knows whose turn it waits for, and so do others that are
 * made from it.
 */
final class Answer<T> extends CompletableFuture<T> {
  private final DeviceWorker<?> worker;

  Answer(DeviceWorker<?> worker) {
    this.worker = worker;
  }

  @Override
  public <U> CompletableFuture<U> newIncompleteFuture() {
    return new Answer<>(worker);
  }

  /** As {@link DeviceWorker#await(CompletableFuture, long)}. */
  static <T> T await(CompletableFuture<T> result, long deadlineNanos) {
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
      result.completeExceptionally(DeviceWorker.noAnswer());
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
}
