package dev.zeusd.core;

import dev.zeusd.core.Devices.Found;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.nvml.NvmlGpus;
import dev.zeusd.core.nvml.NvmlOpener;
import dev.zeusd.ffm.nvml.NvmlException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeoutException;

/** Finds GPUs by NVML: when a node opens if that is quick, and else when NVML has answered. */
final class NvmlFinder implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Node.class.getName());

  /** Enough where the driver is awake; many GPUs that nobody uses take up to 20 s. */
  private static final Duration QUICK = Duration.ofMillis(500);

  /** The same where a node without NVML is an error that had better be told at once. */
  private static final Duration QUICK_IF_NEEDED = Duration.ofSeconds(2);

  private static final Duration PATIENT = Duration.ofSeconds(30);

  private static final String NOT_YET =
      "no GPUs: NVML has not answered yet; if it stays so, the driver hangs";

  private final NodeConfig config;
  private final Optional<Runnable> afterUpgrade;
  private volatile Optional<NvmlGpus> found = Optional.empty();
  private final NvmlOpener opener = new NvmlOpener(this::goOnAfterUpgrade);

  NvmlFinder(NodeConfig config, Optional<Runnable> afterUpgrade) {
    this.config = config;
    this.afterUpgrade = afterUpgrade;
  }

  private boolean goOnAfterUpgrade(Path loaded) {
    LOG.log(
        System.Logger.Level.WARNING,
        "the NVIDIA driver was upgraded: {0}, as this process has loaded it, and the kernel''s"
            + " driver differ in version; {1}",
        loaded,
        afterUpgrade.isPresent() ? "zeusd has to be restarted" : "loading the new library");
    afterUpgrade.ifPresent(Runnable::run);
    return afterUpgrade.isEmpty();
  }

  /** Those that there are, if NVML answers soon; else none, and {@link #isOpening} holds. */
  Found<Gpu> findQuickly() {
    try {
      return find(isNeeded() ? QUICK_IF_NEEDED : QUICK);
    } catch (TimeoutException e) {
      LOG.log(System.Logger.Level.INFO, "NVML has not answered yet: going on without GPUs so far");
      return Found.none(this::findPatiently, List.of());
    }
  }

  private Found<Gpu> findPatiently() {
    try {
      return find(PATIENT);
    } catch (TimeoutException e) {
      return Found.none(this::findPatiently, List.of(NOT_YET));
    }
  }

  private boolean isNeeded() {
    return config.gpuBackend() == GpuBackend.NVML;
  }

  private Found<Gpu> find(Duration wait) throws TimeoutException {
    try {
      NvmlGpus nvml = opener.open(wait);
      String driver = ", driver " + nvml.driverVersion();
      if (nvml.gpus().isEmpty()) {
        // Only an NVML that is initialised anew sees what comes later.
        nvml.close();
        return Found.none(this::findPatiently, List.of("no GPUs by NVML" + driver));
      }
      LOG.log(System.Logger.Level.INFO, nvml.gpus().size() + " GPU(s) by NVML" + driver);
      config.gpuIdleRelease().ifPresent(nvml::releaseWhenIdleFor);
      found = Optional.of(nvml);
      return found(nvml);
    } catch (NvmlException e) {
      if (isNeeded()) {
        throw new NodeException("NVML is not usable: " + e.getMessage(), e);
      }
      return Found.none(this::findPatiently, List.of("no GPUs: " + e.getMessage()));
    }
  }

  private static Found<Gpu> found(NvmlGpus nvml) {
    return new Found<>(nvml, nvml.gpus(), nvml::mayHaveMore, () -> more(nvml), List.of());
  }

  /** After a reload of the driver. */
  private static Found<Gpu> more(NvmlGpus nvml) {
    try {
      nvml.lookForMore();
    } catch (NvmlException e) {
      LOG.log(System.Logger.Level.DEBUG, "new GPUs cannot be looked for: {0}", e.getMessage());
    }
    return found(nvml);
  }

  /** Whether NVML has not answered so far, so that it has to be waited for. */
  boolean isOpening() {
    return opener.isOpening();
  }

  /** Why there are no GPUs as long as that is so, for people. */
  List<String> problems() {
    return isOpening() ? List.of(NOT_YET) : List.of();
  }

  /** As {@link NvmlGpus#release}; nothing to be done is done. */
  boolean release() {
    return found.map(NvmlGpus::release).orElse(true);
  }

  @Override
  public void close() {
    opener.close();
  }
}
