package dev.zeusd.core;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.sampling.GuardedCpu;
import dev.zeusd.core.worker.Carriers;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Gives devices that were found a thread each.
 *
 * @param carriers those that virtual threads of callers may pin, of all devices together
 */
record DeviceThreads(Carriers carriers, NanoClock clock) {
  private static final System.Logger LOG = System.getLogger(Node.class.getName());

  /** How long to wait for GPUs to say what they are. */
  private static final long IDENTIFY_WAIT_NANOS = TimeUnit.SECONDS.toNanos(2);

  /** Also lets them say what they are, if they do so soon. */
  List<DeviceWorker<Gpu>> ofGpus(List<Gpu> gpus) {
    List<DeviceWorker<Gpu>> workers = gpus.stream().map(this::ofGpu).toList();
    identify(workers);
    return workers;
  }

  private DeviceWorker<Gpu> ofGpu(Gpu gpu) {
    int id = gpu.info().id();
    return new DeviceWorker<>(id, "GPU " + id, gpu, carriers, clock);
  }

  /**
   * Asks the GPUs side by side, each on its thread: one that hangs keeps neither the others nor the
   * node.
   */
  private static void identify(List<DeviceWorker<Gpu>> gpus) {
    long deadline = System.nanoTime() + IDENTIFY_WAIT_NANOS;
    Map<Integer, CompletableFuture<Boolean>> answers = new TreeMap<>();
    for (DeviceWorker<Gpu> gpu : gpus) {
      answers.put(
          gpu.id(),
          gpu.submit(
              device -> {
                device.identify();
                return true;
              }));
    }
    answers.forEach(
        (id, answer) -> {
          try {
            answer.get(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
          } catch (TimeoutException e) {
            LOG.log(System.Logger.Level.WARNING, "GPU {0} does not answer yet: going on", id);
          } catch (ExecutionException e) {
            LOG.log(System.Logger.Level.WARNING, "GPU {0} cannot be asked: {1}", id, e.getCause());
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
  }

  List<DeviceWorker<Cpu>> ofCpus(List<Cpu> cpus) {
    return cpus.stream().map(cpu -> GuardedCpu.startWorker(cpu, carriers, clock)).toList();
  }
}
