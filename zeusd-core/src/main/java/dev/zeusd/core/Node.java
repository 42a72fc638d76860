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

/**
 * The devices of this machine: what an embedder opens.
 *
 * <p>Thread-safe. Each device has a thread of its own, which {@link DeviceWorker#call} uses; it
 * sleeps while nobody asks. Nothing reads hardware before it is asked to, but for the names of the
 * devices when the node is opened.
 */
public final class Node implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Node.class.getName());

  private final AutoCloseable backend;
  private final List<DeviceWorker<Gpu>> gpus;
  private final PowerSampler<Gpu, GpuPowerSample> gpuPower;
  private final AutoCloseable cpuBackend;
  private final List<DeviceWorker<Cpu>> cpus;
  private final PowerSampler<Cpu, CpuPowerSample> cpuPower;

  private Node(AutoCloseable backend, List<Gpu> gpus, NodeConfig config) {
    this.backend = backend;
    List<DeviceWorker<Gpu>> workers = new ArrayList<>();
    for (Gpu gpu : gpus) {
      int id = gpu.info().id();
      workers.add(new DeviceWorker<>(id, "GPU " + id, gpu));
    }
    this.gpus = List.copyOf(workers);
    this.gpuPower = PowerSampler.ofGpus(this.gpus, config.gpuPowerPollHz());
    OpenCpus open = openCpus(config);
    this.cpuBackend = open.backend;
    this.cpus = open.cpus.stream().map(GuardedCpu::startWorker).toList();
    this.cpuPower = PowerSampler.ofCpus(this.cpus, config.cpuPowerPollHz());
  }

  private record OpenCpus(AutoCloseable backend, List<Cpu> cpus) {}

  private static OpenCpus openCpus(NodeConfig config) {
    return switch (config.cpuBackend()) {
      case NONE -> new OpenCpus(() -> {}, List.of());
      case SIMULATED -> new OpenCpus(() -> {}, SimulatedCpu.typicalNode());
      case RAPL -> {
        RaplCpus rapl = RaplCpus.open(config.raplDir(), System::nanoTime);
        yield new OpenCpus(rapl, rapl.cpus());
      }
    };
  }

  /**
   * Finds the devices and starts their threads.
   *
   * @throws NodeException if a backend that {@code config} insists on is not there
   */
  public static Node open(NodeConfig config) {
    return switch (config.gpuBackend()) {
      case NONE -> new Node(() -> {}, List.of(), config);
      case SIMULATED -> new Node(() -> {}, SimulatedGpu.typicalNode(), config);
      case NVML -> openNvml(config);
      case AUTO -> openNvmlIfThere(config);
    };
  }

  private static Node openNvml(NodeConfig config) {
    try {
      return withNvml(NvmlGpus.open(), config);
    } catch (NvmlException e) {
      throw new NodeException("NVML is not usable: " + e.getMessage(), e);
    }
  }

  private static Node openNvmlIfThere(NodeConfig config) {
    try {
      return withNvml(NvmlGpus.open(), config);
    } catch (NvmlException e) {
      LOG.log(System.Logger.Level.WARNING, "no GPUs: {0}", e.getMessage());
      return new Node(() -> {}, List.of(), config);
    }
  }

  private static Node withNvml(NvmlGpus nvml, NodeConfig config) {
    LOG.log(
        System.Logger.Level.INFO,
        "{0} GPU(s) by NVML, driver {1}",
        nvml.gpus().size(),
        nvml.driverVersion());
    return new Node(nvml, nvml.gpus(), config);
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
    closeBackend("GPU", backend);
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
