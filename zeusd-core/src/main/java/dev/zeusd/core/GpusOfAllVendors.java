package dev.zeusd.core;

import dev.zeusd.core.amdsmi.AmdSmiBackend;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.hwmon.HwmonGpus;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.nvml.NvmlBackend;
import dev.zeusd.ffm.amdsmi.AmdSmiFile;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * The GPUs of all vendors side by side: NVIDIA's first, then AMD's, then Intel's. Of what is not
 * installed nothing is loaded, and nothing is said as long as there are other GPUs.
 */
final class GpusOfAllVendors implements Backend<Gpu> {
  private final NodeConfig config;
  private final GpuIds ids = new GpuIds();
  private final NvmlBackend nvidia;

  /** Once its library is there. */
  private volatile Optional<AmdSmiBackend> amd = Optional.empty();

  /** Looked for once the others have been. */
  private volatile Optional<HwmonGpus> intel = Optional.empty();

  private volatile BooleanSupplier isKept = () -> false;

  /** Guarded by this. */
  private boolean closed;

  private GpusOfAllVendors(NodeConfig config, Optional<Runnable> afterUpgrade) {
    this.config = config;
    nvidia = NvmlBackend.open(config, afterUpgrade, ids);
  }

  /** Finds those that there are; where NVML takes its time, AMD's come after it. */
  static GpusOfAllVendors open(NodeConfig config, Optional<Runnable> afterUpgrade) {
    GpusOfAllVendors gpus = new GpusOfAllVendors(config, afterUpgrade);
    try {
      if (!gpus.nvidia.isOpening()) {
        gpus.openAmd();
        if (!gpus.isOpening()) {
          gpus.openIntel();
        }
      }
    } catch (RuntimeException | Error e) {
      gpus.close();
      throw e;
    }
    return gpus;
  }

  private synchronized void openAmd() {
    if (!closed && amd.isEmpty() && AmdSmiFile.isThere(config.driverDir())) {
      AmdSmiBackend opened = AmdSmiBackend.open(config, ids);
      opened.keepOpenWhile(() -> isKept.getAsBoolean());
      amd = Optional.of(opened);
    }
  }

  private synchronized void openIntel() {
    if (!closed && intel.map(gpus -> gpus.devices().isEmpty()).orElse(true)) {
      intel = Optional.of(HwmonGpus.find(config.hwmonDirs(), ids, BootClock.system()));
    }
  }

  @Override
  public List<Gpu> devices() {
    List<Gpu> others = others();
    if (others.isEmpty()) {
      return nvidia.devices();
    }
    List<Gpu> all = new ArrayList<>(nvidia.devices());
    all.addAll(others);
    return all;
  }

  private List<Gpu> others() {
    List<Gpu> others = new ArrayList<>();
    amd.ifPresent(gpus -> others.addAll(gpus.devices()));
    intel.ifPresent(gpus -> others.addAll(gpus.devices()));
    return others;
  }

  /** A driver that is not installed is looked for only while there are no GPUs at all. */
  @Override
  public boolean mayHaveMore() {
    return nvidia.mayHaveMore() && !(nvidia.isMissing() && !others().isEmpty())
        || amd.map(AmdSmiBackend::mayHaveMore).orElse(devices().isEmpty());
  }

  @Override
  public void lookForMore() {
    if (nvidia.mayHaveMore()) {
      nvidia.lookForMore();
    }
    if (amd.isPresent() && amd.get().mayHaveMore()) {
      amd.get().lookForMore();
    }
    openAmd();
    openIntel();
  }

  @Override
  public boolean isOpening() {
    return nvidia.isOpening() || amd.map(AmdSmiBackend::isOpening).orElse(false);
  }

  /** What is wrong with one vendor's is told also if there are the other's. */
  @Override
  public List<String> problems() {
    List<String> problems = new ArrayList<>();
    if (!(nvidia.isMissing() && !others().isEmpty())) {
      problems.addAll(nvidia.problems());
    }
    amd.ifPresent(gpus -> problems.addAll(gpus.problems()));
    return problems;
  }

  @Override
  public boolean release() {
    boolean nvidias = nvidia.release();
    return amd.map(AmdSmiBackend::release).orElse(true) && nvidias;
  }

  @Override
  public void keepOpenWhile(BooleanSupplier isNeeded) {
    isKept = isNeeded;
    nvidia.keepOpenWhile(isNeeded);
  }

  @Override
  public void close() {
    synchronized (this) {
      closed = true;
    }
    nvidia.close();
    amd.ifPresent(AmdSmiBackend::close);
    intel.ifPresent(HwmonGpus::close);
  }
}
