package dev.zeusd.core.driver;

import dev.zeusd.core.NodeException;
import dev.zeusd.ffm.driver.DriverException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Opens a driver's library on a thread of its own: a driver that hangs must not keep its caller,
 * and is not called twice, however often it is tried.
 *
 * <p>Thread-safe.
 *
 * @param <G> what comes of it
 */
public final class Opener<G extends Opener.Opened> implements AutoCloseable {
  private final String library;
  private final Question<G> source;

  // Guarded by this.
  /** Whose end nobody has seen, or null. */
  private CompletableFuture<G> opening;

  private boolean closed;

  /** What was opened; closing it throws nothing. */
  public interface Opened extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Opens nothing yet.
   *
   * @param library its name, for people
   * @param source opens it, on a thread that it may keep
   */
  public Opener(String library, Question<G> source) {
    this.library = library;
    this.source = source;
  }

  /**
   * Opens it.
   *
   * @throws DriverException if that fails
   * @throws NodeException if this JVM may not call native code
   * @throws TimeoutException if that is not over within {@code wait}, or the calling thread is
   *     interrupted; the next call waits for the same. Also after {@link #close}
   */
  public G open(Duration wait) throws DriverException, TimeoutException {
    CompletableFuture<G> current = startOrJoin();
    try {
      G opened = current.get(wait.toNanos(), TimeUnit.NANOSECONDS);
      take(current);
      return opened;
    } catch (ExecutionException e) {
      take(current);
      switch (e.getCause()) {
        case DriverException cause -> throw cause;
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

  private NodeException denied(IllegalCallerException cause) {
    Module caller = DriverException.class.getModule();
    return new NodeException(
        library
            + " is not usable: this Java is not allowed to call native code; start it with"
            + " --enable-native-access="
            + (caller.isNamed() ? caller.getName() : "ALL-UNNAMED")
            + ", or open a node without "
            + library,
        cause);
  }

  private synchronized CompletableFuture<G> startOrJoin() throws TimeoutException {
    failIfClosed();
    if (opening == null) {
      opening = start();
    }
    return opening;
  }

  /** From here on the caller is responsible for what it came to. */
  private synchronized void take(CompletableFuture<G> over) throws TimeoutException {
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
      opening.thenAccept(Opened::close);
    }
  }

  /** Whether it is under way, or nobody has taken what came of it. */
  public synchronized boolean isOpening() {
    return opening != null;
  }

  private CompletableFuture<G> start() {
    CompletableFuture<G> opening = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .name("open " + library)
        .start(
            () -> {
              try {
                opening.complete(source.ask());
              } catch (DriverException | RuntimeException | Error e) {
                opening.completeExceptionally(e);
              }
            });
    return opening;
  }
}
