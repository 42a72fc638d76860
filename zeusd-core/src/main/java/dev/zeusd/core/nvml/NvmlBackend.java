package dev.zeusd.core.nvml;

import dev.zeusd.core.Backend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.NodeException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.driver.Opener;
import dev.zeusd.ffm.driver.DriverException;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlReturn;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;

/** Finds GPUs by NVML: when a node opens if that is quick, and else when NVML has answered. */
public final class NvmlBackend implements Backend<Gpu> {
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

  /** Set with the lock on this held, and not after the close. */
  private volatile Optional<NvmlGpus> found = Optional.empty();

  /** Why there are none, as of the last look. */
  private volatile List<String> problems = List.of();

  /** Whether that is because there is no library. */
  private volatile boolean missing;

  /** Whether it must not let go of the driver by itself. */
  private volatile BooleanSupplier isKept = () -> false;

  /** Guarded by this. */
  private boolean closed;

  private final Opener<NvmlGpus> opener;

  private NvmlBackend(NodeConfig config, Optional<Runnable> afterUpgrade, GpuIds ids) {
    this.config = config;
    this.opener = new Opener<>("NVML", () -> NvmlGpus.open(this::goOnAfterUpgrade, ids));
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

  /**
   * Finds those that there are, if NVML answers soon; else {@link #isOpening} holds.
   *
   * @throws NodeException if {@code config} insists on NVML, and it is not usable
   */
  public static NvmlBackend open(NodeConfig config, Optional<Runnable> afterUpgrade, GpuIds ids) {
    NvmlBackend nvml = new NvmlBackend(config, afterUpgrade, ids);
    try {
      nvml.find(nvml.isNeeded() ? QUICK_IF_NEEDED : QUICK);
    } catch (TimeoutException e) {
      LOG.log(System.Logger.Level.INFO, "NVML has not answered yet: going on without GPUs so far");
    } catch (RuntimeException | Error e) {
      nvml.close();
      throw e;
    }
    return nvml;
  }

  private boolean isNeeded() {
    return config.gpuBackend() == GpuBackend.NVML;
  }

  private void find(Duration wait) throws TimeoutException {
    try {
      NvmlGpus nvml = opener.open(wait);
      missing = false;
      String driver = ", driver " + nvml.driverVersion();
      if (nvml.gpus().isEmpty()) {
        // Only an NVML that is initialised anew sees what comes later.
        nvml.close();
        problems = List.of("no GPUs by NVML" + driver);
        return;
      }
      LOG.log(System.Logger.Level.INFO, nvml.gpus().size() + " GPU(s) by NVML" + driver);
      config
          .gpuIdleRelease()
          .ifPresent(time -> nvml.idle().whenIdleFor(time, () -> isKept.getAsBoolean()));
      keep(nvml);
    } catch (DriverException e) {
      if (isNeeded()) {
        throw new NodeException("NVML is not usable: " + e.getMessage(), e);
      }
      missing = e instanceof NvmlException nvml && nvml.result() == NvmlReturn.LIBRARY_NOT_FOUND;
      problems = List.of("no GPUs: " + e.getMessage());
    }
  }

  private synchronized void keep(NvmlGpus nvml) {
    if (closed) {
      nvml.close();
    } else {
      found = Optional.of(nvml);
      problems = List.of();
    }
  }

  @Override
  public List<Gpu> devices() {
    return found.map(NvmlGpus::gpus).orElse(List.of());
  }

  /** Until there are some, and after a reload of the driver. */
  @Override
  public boolean mayHaveMore() {
    return found.map(NvmlGpus::mayHaveMore).orElse(true);
  }

  @Override
  public void lookForMore() {
    try {
      if (found.isPresent()) {
        found.get().lookForMore();
      } else {
        find(PATIENT);
      }
    } catch (TimeoutException e) {
      problems = List.of(NOT_YET);
    } catch (NvmlException e) {
      LOG.log(System.Logger.Level.DEBUG, "new GPUs cannot be looked for: {0}", e.getMessage());
    }
  }

  /** Whether NVML has not answered so far, so that it has to be waited for. */
  @Override
  public boolean isOpening() {
    return opener.isOpening();
  }

  /** Whether there is no driver of NVIDIA's, as of the last look: no fault if there are others. */
  public boolean isMissing() {
    return missing;
  }

  /** Why there are no GPUs, for people. */
  @Override
  public List<String> problems() {
    return isOpening() ? List.of(NOT_YET) : problems;
  }

  @Override
  public void keepOpenWhile(BooleanSupplier isNeeded) {
    isKept = isNeeded;
  }

  @Override
  public boolean release() {
    return found.map(nvml -> nvml.idle().now()).orElse(true);
  }

  @Override
  public void close() {
    opener.close();
    Optional<NvmlGpus> last;
    synchronized (this) {
      closed = true;
      last = found;
    }
    last.ifPresent(NvmlGpus::close);
  }
}
