package dev.zeusd.core.amdsmi;

import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.NodeException;
import dev.zeusd.core.driver.DriverBackend;
import dev.zeusd.core.driver.GpuIds;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/** Finds GPUs by AMD SMI. */
public final class AmdSmiBackend extends DriverBackend<AmdSmiGpus> {
  private AmdSmiBackend(
      Optional<Path> folder, Optional<Duration> idleRelease, boolean isNeeded, GpuIds ids) {
    super(
        new Words("AMD SMI", "AMD GPUs", "its GPUs"),
        () -> AmdSmiGpus.open(folder, ids),
        idleRelease,
        isNeeded);
  }

  /**
   * Finds those that there are, if AMD SMI answers soon; else {@link #isOpening} holds.
   *
   * @throws NodeException if {@code config} insists on AMD SMI, and it is not usable
   */
  public static AmdSmiBackend open(NodeConfig config, GpuIds ids) {
    boolean isNeeded = config.gpuBackend() == GpuBackend.AMDSMI;
    return started(new AmdSmiBackend(config.driverDir(), config.gpuIdleRelease(), isNeeded, ids));
  }

  /** The same with the library of this folder, whatever the environment says. */
  public static AmdSmiBackend openIn(Path folder, GpuIds ids) {
    return started(new AmdSmiBackend(Optional.of(folder), Optional.empty(), true, ids));
  }

  private static AmdSmiBackend started(AmdSmiBackend amd) {
    amd.findFirst();
    return amd;
  }

  /** They get their ids only now, whenever the library was opened. */
  @Override
  protected void listFirst(AmdSmiGpus opened) {
    opened.lookForMore();
  }
}
