package dev.zeusd.core.amdsmi;

import dev.zeusd.core.Backend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.NodeException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.driver.Opener;
import dev.zeusd.ffm.driver.DriverException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;

/** Finds GPUs by AMD SMI: when a node opens if that is quick, and else when it has answered. */
public final class AmdSmiBackend implements Backend<Gpu> {
  private static final System.Logger LOG = System.getLogger(Node.class.getName());

  private static final Duration QUICK = Duration.ofMillis(500);

  /** The same where a node without it is an error that had better be told at once. */
  private static final Duration QUICK_IF_NEEDED = Duration.ofSeconds(2);

  private static final Duration PATIENT = Duration.ofSeconds(30);

  private static final String NOT_YET =
      "no AMD GPUs: AMD SMI has not answered yet; if it stays so, the driver hangs";

  private final Optional<Duration> idleRelease;
  private final boolean needed;
  private final Opener<AmdSmiGpus> opener;

  /** Set with the lock on this held, and not after the close. */
  private volatile Optional<AmdSmiGpus> found = Optional.empty();

  /** Why there are none, as of the last look. */
  private volatile List<String> problems = List.of();

  /** Whether it must not let go of the driver by itself. */
  private volatile BooleanSupplier isKept = () -> false;

  /** Guarded by this. */
  private boolean closed;

  private AmdSmiBackend(
      Optional<Path> folder, Optional<Duration> idleRelease, boolean needed, GpuIds ids) {
    this.idleRelease = idleRelease;
    this.needed = needed;
    this.opener = new Opener<>("AMD SMI", () -> AmdSmiGpus.open(folder, ids));
  }

  /**
   * Finds those that there are, if AMD SMI answers soon; else {@link #isOpening} holds.
   *
   * @throws NodeException if {@code config} insists on AMD SMI, and it is not usable
   */
  public static AmdSmiBackend open(NodeConfig config, GpuIds ids) {
    boolean needed = config.gpuBackend() == GpuBackend.AMDSMI;
    return started(new AmdSmiBackend(Optional.empty(), config.gpuIdleRelease(), needed, ids));
  }

  /** The same with the library of this folder, whatever the environment says. */
  public static AmdSmiBackend openIn(Path folder, GpuIds ids) {
    return started(new AmdSmiBackend(Optional.of(folder), Optional.empty(), true, ids));
  }

  private static AmdSmiBackend started(AmdSmiBackend amd) {
    try {
      amd.find(amd.needed ? QUICK_IF_NEEDED : QUICK);
    } catch (TimeoutException e) {
      LOG.log(System.Logger.Level.INFO, "AMD SMI has not answered yet: going on without its GPUs");
    } catch (RuntimeException | Error e) {
      amd.close();
      throw e;
    }
    return amd;
  }

  private void find(Duration wait) throws TimeoutException {
    try {
      AmdSmiGpus amd = opener.open(wait);
      amd.lookForMore();
      String library = " by AMD SMI " + amd.description();
      if (amd.gpus().isEmpty()) {
        // Only one that is initialised anew sees what comes later.
        amd.close();
        problems = List.of("no GPUs" + library);
        return;
      }
      LOG.log(System.Logger.Level.INFO, amd.gpus().size() + " GPU(s)" + library);
      idleRelease.ifPresent(idle -> amd.idle().whenIdleFor(idle, () -> isKept.getAsBoolean()));
      keep(amd);
    } catch (DriverException e) {
      if (needed) {
        throw new NodeException("AMD SMI is not usable: " + e.getMessage(), e);
      }
      problems = List.of("no AMD GPUs: " + e.getMessage());
    }
  }

  private synchronized void keep(AmdSmiGpus amd) {
    if (closed) {
      amd.close();
    } else {
      found = Optional.of(amd);
      problems = List.of();
    }
  }

  @Override
  public List<Gpu> devices() {
    return found.map(AmdSmiGpus::gpus).orElse(List.of());
  }

  /** Until there are some, and after a reload of the driver. */
  @Override
  public boolean mayHaveMore() {
    return found.map(AmdSmiGpus::mayHaveMore).orElse(true);
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
    }
  }

  @Override
  public boolean isOpening() {
    return opener.isOpening();
  }

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
    return found.map(amd -> amd.idle().now()).orElse(true);
  }

  @Override
  public void close() {
    opener.close();
    Optional<AmdSmiGpus> last;
    synchronized (this) {
      closed = true;
      last = found;
    }
    last.ifPresent(AmdSmiGpus::close);
  }
}
