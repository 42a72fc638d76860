package dev.zeusd.cli;

import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.Discovery;
import dev.zeusd.client.WindowEnergy;
import dev.zeusd.client.ZeusdClient;
import dev.zeusd.client.ZeusdException;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * The energy of a command, by an energy window of the daemon. While the command runs, it asks now
 * and then what is known so far, should the daemon be gone at the end.
 */
final class CommandEnergy implements AutoCloseable {
  /** Should nobody end it, because this process was killed. */
  private static final Duration TTL = Duration.ofDays(7);

  private static final long ASK_MILLIS = 5000;

  /** A daemon that is just being restarted is back within this. */
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(5);

  /** How long one that is there may keep the end waiting, unless a device does. */
  private static final Duration MOST_SILENCE = Duration.ofSeconds(5);

  private static final long PAUSE_MILLIS = 200;

  private final ClientConfig config;
  private final ZeusdClient client;
  private final Discovery discovery;

  /** None if all are meant: the daemon may know more of them when the window begins. */
  private final List<Integer> namedGpuIds;

  private String windowId = "";
  private long begunNanos;
  private boolean daemonIsSilent;

  // Guarded by this.
  private Optional<WindowEnergy> known = Optional.empty();
  private boolean ended;

  /** Of these GPUs, or all if none are named, and of all CPUs; by a client of {@code config}. */
  CommandEnergy(ClientConfig config, ZeusdClient client, List<Integer> gpuIds) {
    this.config = config;
    this.client = client;
    this.discovery = client.discover();
    this.namedGpuIds = gpuIds;
  }

  List<Integer> gpuIds() {
    return namedGpuIds.isEmpty()
        ? discovery.gpus().stream().map(Discovery.Gpu::id).toList()
        : namedGpuIds;
  }

  /**
   * From here on.
   *
   * @param name of the command, for those who look at the daemon's windows
   * @throws ZeusdException if nothing can be measured
   */
  void begin(String name) {
    windowId = client.beginEnergyWindow("zeusd run " + name, namedGpuIds, List.of(), TTL);
    begunNanos = System.nanoTime();
  }

  /**
   * Asks now and then, on a thread of its own: nobody else has to wait for the daemon.
   *
   * @param onFirst told what is known before anything has been measured
   */
  void watch(Consumer<Measured> onFirst) {
    Thread.ofPlatform().daemon().name("energy so far").start(() -> askNowAndThen(onFirst));
  }

  private void askNowAndThen(Consumer<Measured> onFirst) {
    ask().ifPresent(none -> onFirst.accept(measured(0, none)));
    while (sleep(ASK_MILLIS)) {
      ask();
    }
  }

  private Optional<WindowEnergy> ask() {
    try {
      WindowEnergy soFar = client.energySoFar(windowId);
      synchronized (this) {
        known = Optional.of(soFar);
      }
      return Optional.of(soFar);
    } catch (ZeusdException e) {
      // It may be back the next time, or at the end.
      return Optional.empty();
    }
  }

  private Measured measured(double seconds, WindowEnergy energy) {
    return new Measured(discovery, seconds, Optional.of(energy), Optional.empty());
  }

  private synchronized boolean sleep(long millis) {
    try {
      if (!ended) {
        wait(millis);
      }
      return !ended;
    } catch (InterruptedException e) {
      return false;
    }
  }

  /**
   * What a command took.
   *
   * @param discovery the daemon's devices
   * @param seconds from begin to end
   * @param energy as much as is known
   * @param lost why not all is known
   */
  record Measured(
      Discovery discovery, double seconds, Optional<WindowEnergy> energy, Optional<String> lost) {}

  /** Up to here. */
  Measured end() throws InterruptedException {
    double seconds = (System.nanoTime() - begunNanos) / 1e9;
    synchronized (this) {
      ended = true;
      notifyAll();
    }
    Duration silence = Collections.min(List.of(config.timeout(), MOST_SILENCE));
    try (ZeusdClient hurried = ZeusdClient.open(config.withTimeout(silence))) {
      return measured(seconds, endWindow(hurried));
    } catch (ZeusdException e) {
      synchronized (this) {
        return new Measured(discovery, seconds, known, Optional.of(e.getMessage()));
      }
    }
  }

  private WindowEnergy endWindow(ZeusdClient hurried) throws InterruptedException {
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (true) {
      try {
        return hurried.endEnergyWindow(windowId);
      } catch (ZeusdException e) {
        if (e.getCause() instanceof SocketTimeoutException) {
          daemonIsSilent = !answers(hurried);
          if (daemonIsSilent) {
            throw e;
          }
          // A device keeps it waiting, for which it has its own limit.
          return client.endEnergyWindow(windowId);
        }
        if (!e.isTransient() || System.nanoTime() > deadline) {
          throw e;
        }
        Thread.sleep(PAUSE_MILLIS);
      }
    }
  }

  private static boolean answers(ZeusdClient client) {
    try {
      return client.timeMs() > 0;
    } catch (ZeusdException e) {
      return false;
    }
  }

  /** Whether it was there at the end and did not answer, so that nothing more need be asked. */
  boolean isDaemonSilent() {
    return daemonIsSilent;
  }

  /** Ends the window of a command that was not started, which nobody else would for days. */
  @Override
  public void close() {
    synchronized (this) {
      if (windowId.isEmpty() || ended) {
        return;
      }
      ended = true;
    }
    try {
      client.endEnergyWindow(windowId);
    } catch (ZeusdException e) {
      // Then it is forgotten after its time.
    }
  }
}
