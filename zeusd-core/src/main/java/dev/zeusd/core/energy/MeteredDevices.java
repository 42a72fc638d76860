package dev.zeusd.core.energy;

import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/** Makes of the devices that there are by now what windows measure. Thread-safe. */
final class MeteredDevices {
  private final Supplier<? extends DeviceSet<Gpu, ?>> gpus;
  private final Supplier<? extends DeviceSet<Cpu, ?>> cpus;
  private final MeteredGpu.Questions gpuQuestions;
  private final MeteredCpu.Questions cpuQuestions;

  MeteredDevices(
      Supplier<? extends DeviceSet<Gpu, ?>> gpus,
      Supplier<? extends DeviceSet<Cpu, ?>> cpus,
      BootClock clock) {
    this.gpus = gpus;
    this.cpus = cpus;
    this.gpuQuestions = new MeteredGpu.Questions(clock);
    this.cpuQuestions = new MeteredCpu.Questions(clock);
  }

  private List<DeviceWorker<Gpu>> gpus() {
    return gpus.get().devices();
  }

  private List<DeviceWorker<Cpu>> cpus() {
    return cpus.get().devices();
  }

  /** The one that is known by {@code key}, and had this id when it was seen last. */
  MeteredDevice of(String key, int id) {
    return MeteredGpu.isKey(key)
        ? new MeteredGpu(key, id, this::gpus, gpuQuestions)
        : new MeteredCpu(id, this::cpus, cpuQuestions);
  }

  /** Those that are wanted, as far as they are there. */
  List<MeteredDevice> wanted(WindowRequest request) {
    List<MeteredDevice> wanted = new ArrayList<>();
    for (DeviceWorker<Gpu> gpu : gpus()) {
      if (request.gpuIds().contains(gpu.id())) {
        wanted.add(of(MeteredGpu.keyOf(gpu), gpu.id()));
      }
    }
    for (DeviceWorker<Cpu> cpu : cpus()) {
      if (request.cpuIds().contains(cpu.id())) {
        wanted.add(of(MeteredCpu.keyOf(cpu.id()), cpu.id()));
      }
    }
    return wanted;
  }

  /** All of them, for this process; a CPU that holds others is left out. */
  WindowRequest all() {
    return WindowRequest.of(
        gpus().stream().map(DeviceWorker::id).toList(),
        cpus().stream()
            .filter(cpu -> cpu.device().info().domain() == CpuInfo.Domain.PACKAGE)
            .map(DeviceWorker::id)
            .toList());
  }
}
