package dev.zeusd.core.nvml;

import dev.zeusd.core.NodeException;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;

/**
 * Opens NVML on a thread of its own: a driver that hangs must not keep its caller, and is not
 * called twice, however often it is tried.
 *
 * <p>Thread-safe.
 */
final class NvmlOpener implements AutoCloseable {
  private final Predicate<Path> afterUpgrade;

  // Guarded by this.
  /** Whose end nobody has seen, or null. */
  private CompletableFuture<NvmlGpus> opening;

  private boolean closed;

  /** Opens nothing yet; what it opens is told of an upgrade as {@link NvmlGpus#open} says. */
  NvmlOpener(Predicate<Path> afterUpgrade) {
    this.afterUpgrade = afterUpgrade;
  }

  /**
   * As {@link NvmlGpus#open}.
   *
   * @throws NodeException if this JVM may not call native code
   * @throws TimeoutException if that is not over within {@code wait}, or the calling thread is
   *     interrupted; the next call waits for the same. Also after {@link #close}
   */
  NvmlGpus open(Duration wait) throws NvmlException, TimeoutException {
    CompletableFuture<NvmlGpus> current = startOrJoin();
    try {
      NvmlGpus gpus = current.get(wait.toNanos(), TimeUnit.NANOSECONDS);
      take(current);
      return gpus;
    } catch (ExecutionException e) {
      take(current);
      switch (e.getCause()) {
        case NvmlException cause -> throw cause;
        case IllegalCallerException cause -> throw denied(cause);
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException(e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new TimeoutException("interrupted");
    }
  }

  private static NodeException denied(IllegalCallerException cause) {
    Module caller = NvmlLibrary.class.getModule();
    return new NodeException(
        "NVML is not usable: this Java is not allowed to call native code; start it with"
            + " --enable-native-access="
            + (caller.isNamed() ? caller.getName() : "ALL-UNNAMED")
            + ", or open a node without NVML",
        cause);
  }

  private synchronized CompletableFuture<NvmlGpus> startOrJoin() throws TimeoutException {
    failIfClosed();
    if (opening == null) {
      opening = start();
    }
    return opening;
  }

  /** From here on the caller is responsible for what it came to. */
  private synchronized void take(CompletableFuture<NvmlGpus> over) throws TimeoutException {
    failIfClosed();
    if (opening == over) {
      opening = null;
    }
  }

  private void failIfClosed() throws TimeoutException {
    if (closed) {
      throw new TimeoutException("closed");
    }
  }

  /** What is being opened is closed as soon as it is open, whenever that may be. */
  @Override
  public synchronized void close() {
    closed = true;
    if (opening != null) {
      opening.thenAccept(NvmlGpus::close);
    }
  }

  /** Whether it is under way, or nobody has taken what came of it. */
  synchronized boolean isOpening() {
    return opening != null;
  }

  private CompletableFuture<NvmlGpus> start() {
    CompletableFuture<NvmlGpus> opening = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .name("open NVML")
        .start(
            () -> {
              try {
                opening.complete(NvmlGpus.open(afterUpgrade));
              } catch (NvmlException | RuntimeException | Error e) {
                opening.completeExceptionally(e);
              }
            });
    return opening;
  }
}
