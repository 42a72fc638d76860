package dev.zeusd.core.driver;

import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.LongPredicate;
import java.util.function.LongSupplier;

/** Lets go of a driver's library: when somebody asks for that, or when nobody uses it. */
public final class IdleRelease implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(DriverGpu.class.getName());
  private static final long RELEASE_SECONDS = 8;

  private final String name;
  private final LongSupplier quietNanos;
  private final BooleanSupplier isOpen;
  private final LongPredicate release;
  private final NanoClock clock;

  // Guarded by this.
  /** Watches for idle times, or null. */
  private Thread watcher;

  private volatile boolean closed;

  /**
   * Of a library.
   *
   * @param name for people
   * @param quietNanos how long ago the last call began
   * @param isOpen whether there is something to let go of
   * @param release lets go unless a call has begun within so many ns; whether it did
   */
  public IdleRelease(
      String name, LongSupplier quietNanos, BooleanSupplier isOpen, LongPredicate release) {
    this(name, quietNanos, isOpen, release, NanoClock.SYSTEM);
  }

  /** The same by another clock. */
  IdleRelease(
      String name,
      LongSupplier quietNanos,
      BooleanSupplier isOpen,
      LongPredicate release,
      NanoClock clock) {
    this.name = name;
    this.clock = clock;
    this.quietNanos = quietNanos;
    this.isOpen = isOpen;
    this.release = release;
  }

  /**
   * Lets go of the driver until the next call. On a thread of its own, since a driver may hang.
   *
   * @return false if it cannot be let go of now, or that takes longer than some seconds
   */
  public boolean now() {
    CompletableFuture<Boolean> released = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .name("release " + name)
        .start(() -> released.complete(release.test(Long.MIN_VALUE)));
    return released.completeOnTimeout(false, RELEASE_SECONDS, TimeUnit.SECONDS).join();
  }

  /** From now on, lets go of the driver whenever no call was made for this long, unless needed. */
  public synchronized void whenIdleFor(Duration idle, BooleanSupplier isNeeded) {
    // It has to sleep through the idle time of a whole library, which no device's thread does.
    watcher =
        Thread.ofPlatform()
            .daemon()
            .name("release idle " + name)
            .unstarted(() -> watch(idle.toNanos(), isNeeded));
    clock.starting(watcher);
    watcher.start();
  }

  private void watch(long idleNanos, BooleanSupplier isNeeded) {
    while (!closed) {
      long restNanos = idleNanos - quietNanos.getAsLong();
      if (restNanos <= 0
          && !isNeeded.getAsBoolean()
          && isOpen.getAsBoolean()
          && release.test(idleNanos)) {
        LOG.log(System.Logger.Level.INFO, "GPUs are idle: the driver is let go of");
      }
      clock.parkUntil(clock.nanoTime() + (restNanos > 0 ? restNanos : idleNanos));
    }
  }

  /** It watches no longer. */
  @Override
  public synchronized void close() {
    closed = true;
    if (watcher != null) {
      clock.unpark(watcher);
    }
  }
}
