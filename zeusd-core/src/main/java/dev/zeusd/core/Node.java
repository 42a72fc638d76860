package dev.zeusd.core;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.nvml.NvmlGpus;
import dev.zeusd.core.rapl.RaplCpus;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.DeviceWorker;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.GuardedCpu;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.core.simulated.SimulatedCpu;
import dev.zeusd.core.simulated.SimulatedGpu;
import dev.zeusd.ffm.nvml.NvmlException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * The devices of this machine: what an embedder opens.
 *
 * <p>Thread-safe. Each device has a thread of its own, which {@link DeviceWorker#call} uses; it
 * sleeps while nobody asks. Nothing reads hardware before it is asked to, but for the names of the
 * devices when the node is opened.
 */
public final class Node implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Node.class.getName());

  /** How long the opening waits for GPUs to say what they are. */
  private static final long IDENTIFY_WAIT_NANOS = TimeUnit.SECONDS.toNanos(5);

  private final AutoCloseable gpuBackend;
  private final List<DeviceWorker<Gpu>> gpus;
  private final PowerSampler<Gpu, GpuPowerSample> gpuPower;
  private final AutoCloseable cpuBackend;
  private final List<DeviceWorker<Cpu>> cpus;
  private final PowerSampler<Cpu, CpuPowerSample> cpuPower;

  /** The devices of one kind, and what to close after them. */
  private record Opened<D>(AutoCloseable backend, List<D> devices) {
    static <D> Opened<D> withoutBackend(List<D> devices) {
      return new Opened<>(() -> {}, devices);
    }
  }

  private Node(Opened<Gpu> openedGpus, Opened<Cpu> openedCpus, NodeConfig config) {
    this.gpuBackend = openedGpus.backend;
    this.gpus = openedGpus.devices.stream().map(Node::startWorker).toList();
    identify(gpus);
    this.gpuPower = PowerSampler.ofGpus(gpus, config.gpuPowerPollHz());
    this.cpuBackend = openedCpus.backend;
    this.cpus = openedCpus.devices.stream().map(GuardedCpu::startWorker).toList();
    this.cpuPower = PowerSampler.ofCpus(cpus, config.cpuPowerPollHz());
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

  private static DeviceWorker<Gpu> startWorker(Gpu gpu) {
    int id = gpu.info().id();
    return new DeviceWorker<>(id, "GPU " + id, gpu);
  }

  /**
   * Finds the devices and starts their threads.
   *
   * @throws NodeException if a backend that {@code config} insists on is not there
   */
  public static Node open(NodeConfig config) {
    return new Node(openGpus(config), openCpus(config), config);
  }

  private static Opened<Gpu> openGpus(NodeConfig config) {
    return switch (config.gpuBackend()) {
      case NONE -> Opened.withoutBackend(List.of());
      case SIMULATED -> Opened.withoutBackend(SimulatedGpu.typicalNode());
      case NVML, AUTO -> openNvml(config.gpuBackend());
    };
  }

  private static Opened<Gpu> openNvml(GpuBackend wanted) {
    try {
      NvmlGpus nvml = NvmlGpus.open();
      LOG.log(
          System.Logger.Level.INFO,
          "{0} GPU(s) by NVML, driver {1}",
          nvml.gpus().size(),
          nvml.driverVersion());
      return new Opened<>(nvml, nvml.gpus());
    } catch (NvmlException e) {
      if (wanted == GpuBackend.NVML) {
        throw new NodeException("NVML is not usable: " + e.getMessage(), e);
      }
      LOG.log(System.Logger.Level.WARNING, "no GPUs: {0}", e.getMessage());
      return Opened.withoutBackend(List.of());
    }
  }

  private static Opened<Cpu> openCpus(NodeConfig config) {
    return switch (config.cpuBackend()) {
      case NONE -> Opened.withoutBackend(List.of());
      case SIMULATED -> Opened.withoutBackend(SimulatedCpu.typicalNode());
      case RAPL -> {
        RaplCpus rapl = RaplCpus.open(config.raplDir(), System::nanoTime);
        yield new Opened<>(rapl, rapl.cpus());
      }
    };
  }

  /** The GPUs by id, each with its thread. */
  public List<DeviceWorker<Gpu>> gpus() {
    return gpus;
  }

  /** Power readings of the GPUs, one by one or as a stream. */
  public PowerSampler<Gpu, GpuPowerSample> gpuPower() {
    return gpuPower;
  }

  /** The CPU packages by id, each with its thread. */
  public List<DeviceWorker<Cpu>> cpus() {
    return cpus;
  }

  /** Power readings of the CPU packages, one by one or as a stream. */
  public PowerSampler<Cpu, CpuPowerSample> cpuPower() {
    return cpuPower;
  }

  /**
   * Closes all subscriptions, the devices' threads and the backends. Commands that wait are
   * refused. Idempotent.
   */
  @Override
  public void close() {
    gpuPower.close();
    cpuPower.close();
    List<DeviceWorker<?>> workers = new ArrayList<>(gpus);
    workers.addAll(cpus);
    DeviceWorker.closeAll(workers);
    closeBackend("GPU", gpuBackend);
    closeBackend("CPU", cpuBackend);
  }

  private static void closeBackend(String kind, AutoCloseable backend) {
    try {
      backend.close();
    } catch (Exception e) {
      LOG.log(System.Logger.Level.WARNING, "closing the {0} backend: {1}", kind, e.getMessage());
    }
  }
}
