package dev.zeusd.core.nvml;

import dev.zeusd.ffm.nvml.NvmlException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Opens NVML on a thread of its own: a driver that hangs must not keep its caller, and is not
 * called twice, however often it is tried.
 *
 * <p>Thread-safe.
 */
public final class NvmlOpener {
  /** Many GPUs that nobody uses take up to 20 s to wake up. */
  private static final Duration WAIT = Duration.ofSeconds(30);

  /** Not over when it was last looked at, or null. */
  private CompletableFuture<NvmlGpus> opening;

  /**
   * As {@link NvmlGpus#open}.
   *
   * @throws TimeoutException if that is not over within 30 s, or the calling thread is interrupted;
   *     the next call waits for the same
   */
  public synchronized NvmlGpus open() throws NvmlException, TimeoutException {
    if (opening == null) {
      opening = start();
    }
    try {
      NvmlGpus gpus = opening.get(WAIT.toSeconds(), TimeUnit.SECONDS);
      opening = null;
      return gpus;
    } catch (ExecutionException e) {
      opening = null;
      switch (e.getCause()) {
        case NvmlException cause -> throw cause;
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException(e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new TimeoutException("interrupted");
    } catch (TimeoutException e) {
      throw new TimeoutException("NVML does not answer within " + WAIT.toSeconds() + " s");
    }
  }

  private static CompletableFuture<NvmlGpus> start() {
    CompletableFuture<NvmlGpus> opening = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .name("open NVML")
        .start(
            () -> {
              try {
                opening.complete(NvmlGpus.open());
              } catch (NvmlException | RuntimeException | Error e) {
                opening.completeExceptionally(e);
              }
            });
    return opening;
  }
}
