package dev.zeusd.core.nvml;

import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.NodeException;
import dev.zeusd.core.driver.DriverBackend;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlReturn;
import java.nio.file.Path;
import java.util.Optional;

/** Finds GPUs by NVML. */
public final class NvmlBackend extends DriverBackend<NvmlGpus> {
  private static final System.Logger LOG = System.getLogger(Node.class.getName());

  private NvmlBackend(NodeConfig config, Optional<Runnable> afterUpgrade, GpuIds ids) {
    super(
        new Words("NVML", "GPUs", "GPUs so far"),
        () ->
            NvmlGpus.open(
                config.driverDir(), loaded -> goOnAfterUpgrade(loaded, afterUpgrade), ids),
        config.gpuIdleRelease(),
        config.gpuBackend() == GpuBackend.NVML);
  }

  private static boolean goOnAfterUpgrade(Path loaded, Optional<Runnable> afterUpgrade) {
    LOG.log(
        System.Logger.Level.WARNING,
        "the NVIDIA driver was upgraded: {0}, as this process has loaded it, and the kernel''s"
            + " driver differ in version; {1}",
        loaded,
        afterUpgrade.isPresent() ? "zeusd has to be restarted" : "loading the new library");
    afterUpgrade.ifPresent(Runnable::run);
    return afterUpgrade.isEmpty();
  }

  /**
   * Finds those that there are, if NVML answers soon; else {@link #isOpening} holds.
   *
   * @throws NodeException if {@code config} insists on NVML, and it is not usable
   */
  public static NvmlBackend open(NodeConfig config, Optional<Runnable> afterUpgrade, GpuIds ids) {
    NvmlBackend nvml = new NvmlBackend(config, afterUpgrade, ids);
    nvml.findFirst();
    return nvml;
  }

  /** Whether there is no driver of NVIDIA's, as of the last look: no fault if there are others. */
  public boolean isMissing() {
    return failure()
        .filter(NvmlException.class::isInstance)
        .map(NvmlException.class::cast)
        .filter(e -> e.result() == NvmlReturn.LIBRARY_NOT_FOUND)
        .isPresent();
  }
}
