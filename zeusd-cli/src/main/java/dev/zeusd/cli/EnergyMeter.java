package dev.zeusd.cli;

import dev.zeusd.client.Discovery;
import dev.zeusd.client.EnergyReport;
import dev.zeusd.client.ZeusdClient;
import dev.zeusd.client.ZeusdException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * The energy of a command, by an energy window of the daemon, or by the counters of devices where
 * the daemon has no windows. While the command runs, it asks now and then what is known so far,
 * should the daemon be gone at the end.
 */
final class EnergyMeter {
  private static final long ASK_MILLIS = 5000;

  /** A daemon that is just being restarted is back within this. */
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(5);

  private static final long PAUSE_MILLIS = 200;
  private static final int FORBIDDEN = 403;
  private static final int NOT_FOUND = 404;

  private final ZeusdClient client;
  private final Discovery discovery;
  private final List<Integer> gpuIds;
  private Source source;
  private long begunNanos;

  // Guarded by this.
  private Optional<EnergyReport> known = Optional.empty();
  private boolean ended;

  /** Where the energy so far comes from. */
  private interface Source {
    EnergyReport soFar();

    EnergyReport end();
  }

  /** Of these GPUs, or all if none are named, and of all CPUs. */
  EnergyMeter(ZeusdClient client, List<Integer> gpuIds) {
    this.client = client;
    this.discovery = client.discover();
    this.gpuIds =
        gpuIds.isEmpty() ? discovery.gpus().stream().map(Discovery.Gpu::id).toList() : gpuIds;
  }

  List<Integer> gpuIds() {
    return gpuIds;
  }

  /**
   * From here on.
   *
   * @throws ZeusdException if nothing can be measured
   */
  void begin() {
    if (gpuIds.isEmpty() && discovery.cpus().isEmpty()) {
      throw new StartupException(
          "zeusd at " + client.endpoint() + " has nothing to measure: " + discovery.problems());
    }
    source = ifAllowed(this::window).orElseGet(this::counters);
    begunNanos = System.nanoTime();
  }

  private Source window() {
    String id = client.beginEnergyWindow("zeusd run", gpuIds, List.of());
    return new Source() {
      @Override
      public EnergyReport soFar() {
        return client.energySoFar(id);
      }

      @Override
      public EnergyReport end() {
        return client.endEnergyWindow(id);
      }
    };
  }

  private Source counters() {
    Counters begin = counts();
    return new Source() {
      @Override
      public EnergyReport soFar() {
        return counts().since(begin);
      }

      @Override
      public EnergyReport end() {
        return soFar();
      }
    };
  }

  private Counters counts() {
    int[] ids = gpuIds.stream().mapToInt(Integer::intValue).toArray();
    var gpus = ifAllowed(() -> client.gpuEnergyMj(ids));
    // Between the two, so that neither's answer is old by much.
    long atNanos = System.nanoTime();
    long atMs = System.currentTimeMillis();
    var cpus = ifAllowed(client::cpuEnergy);
    if (gpus.isEmpty() && cpus.isEmpty()) {
      throw new StartupException(
          "zeusd at "
              + client.endpoint()
              + " lets this user read neither GPUs nor CPUs: it needs gpu-read or cpu-read");
    }
    return new Counters(atMs, atNanos, gpus, cpus, discovery);
  }

  /** Empty for what the daemon does not have, or not for this user. */
  private static <T> Optional<T> ifAllowed(Supplier<T> ask) {
    try {
      return Optional.of(ask.get());
    } catch (ZeusdException e) {
      int status = e.status().orElse(0);
      if (status == FORBIDDEN || status == NOT_FOUND) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** Asks now and then, on a thread of its own: nobody else has to wait for the daemon. */
  void watch() {
    Thread.ofPlatform().daemon().name("energy so far").start(this::askNowAndThen);
  }

  private void askNowAndThen() {
    while (sleep(ASK_MILLIS)) {
      try {
        EnergyReport soFar = source.soFar();
        synchronized (this) {
          known = Optional.of(soFar);
        }
      } catch (ZeusdException e) {
        // It may be back the next time, or at the end.
      }
    }
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
      Discovery discovery, double seconds, Optional<EnergyReport> energy, Optional<String> lost) {}

  /** Up to here. */
  Measured end() throws InterruptedException {
    double seconds = (System.nanoTime() - begunNanos) / 1e9;
    synchronized (this) {
      ended = true;
      notifyAll();
    }
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (true) {
      try {
        return new Measured(discovery, seconds, Optional.of(source.end()), Optional.empty());
      } catch (ZeusdException e) {
        if (e.status().isPresent() || System.nanoTime() > deadline) {
          synchronized (this) {
            return new Measured(discovery, seconds, known, Optional.of(e.getMessage()));
          }
        }
        Thread.sleep(PAUSE_MILLIS);
      }
    }
  }
}
