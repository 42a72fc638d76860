package dev.zeusd.core.nvml;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.Opener;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** All GPUs that NVML reports. Thread-safe. */
final class NvmlGpus implements Opener.Opened {
  private static final System.Logger LOG = System.getLogger(NvmlGpus.class.getName());
  private static final long RELEASE_SECONDS = 8;

  private final NvmlLibrary library;
  private final String driverVersion;

  /** Grows, but changes in no other way. */
  private volatile List<NvmlGpu> gpus;

  /** The initialisation of NVML that they were listed in. */
  private volatile int listedIn;

  private volatile boolean closed;

  private NvmlGpus(NvmlLibrary library, String driverVersion, List<NvmlGpu> gpus) {
    this.library = library;
    this.driverVersion = driverVersion;
    this.gpus = gpus;
    this.listedIn = library.initialisations();
  }

  /**
   * Loads NVML and lists its GPUs, without asking them anything.
   *
   * @param afterUpgrade as {@link NvmlLibrary#open(Predicate)}
   * @throws NvmlException where the library cannot be loaded or does not initialise
   */
  static NvmlGpus open(Predicate<Path> afterUpgrade) throws NvmlException {
    NvmlLibrary library = NvmlLibrary.open(afterUpgrade);
    try {
      int count = library.deviceCount();
      List<NvmlGpu> gpus = new ArrayList<>(count);
      for (int id = 0; id < count; id++) {
        gpus.add(new NvmlGpu(id, library, library.device(id)));
      }
      return new NvmlGpus(library, versionOf(library), List.copyOf(gpus));
    } catch (NvmlException e) {
      library.close();
      throw e;
    }
  }

  private static String versionOf(NvmlLibrary library) {
    try {
      return library.driverVersion();
    } catch (NvmlException e) {
      return "unknown (" + e.getMessage() + ")";
    }
  }

  /** By id; may be empty. */
  List<Gpu> gpus() {
    return List.copyOf(gpus);
  }

  /** Whether NVML was initialised since they were listed, such as after a reload of the driver. */
  boolean mayHaveMore() {
    return library.initialisations() != listedIn;
  }

  /**
   * Adds the GPUs that were not there before, behind the others, whose ids do not change. A GPU is
   * known by its UUID; while one has not told its own, the next call looks again. Where there are
   * no more than were known, none is asked: most likely nobody wants it.
   *
   * @throws NvmlException if NVML does not even count them
   */
  synchronized void lookForMore() throws NvmlException {
    int initialisation = library.initialisations();
    if (library.deviceCount() <= gpus.size()) {
      listedIn = initialisation;
      return;
    }
    List<Optional<String>> listed = library.uuids();
    boolean allAnswer = listed.stream().allMatch(Optional::isPresent);
    // Old ones have none, and cannot be told apart.
    boolean allHave = listed.stream().noneMatch(uuid -> uuid.equals(Optional.of("")));
    Set<String> known = gpus.stream().map(NvmlGpu::knownUuid).collect(Collectors.toSet());
    boolean allKnown = !known.contains("");
    if (allHave && allKnown) {
      List<NvmlGpu> all = new ArrayList<>(gpus);
      for (int index = 0; index < listed.size(); index++) {
        String uuid = listed.get(index).orElse("");
        if (!uuid.isEmpty() && known.add(uuid)) {
          all.add(new NvmlGpu(all.size(), library, library.device(index, uuid)));
        }
      }
      gpus = List.copyOf(all);
    }
    if (allAnswer && (allKnown || !allHave)) {
      listedIn = initialisation;
    }
  }

  /** The NVIDIA driver's version, for people to read. */
  String driverVersion() {
    return driverVersion;
  }

  /**
   * Lets go of the driver until the next call; see {@link NvmlLibrary#release()}. On a thread of
   * its own, since a driver may hang.
   *
   * @return false if it cannot be let go of now, or that takes longer than some seconds
   */
  boolean release() {
    CompletableFuture<Boolean> released = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .name("release NVML")
        .start(() -> released.complete(library.release()));
    return released.completeOnTimeout(false, RELEASE_SECONDS, TimeUnit.SECONDS).join();
  }

  /** From now on, lets go of the driver whenever no call was made for this long, unless needed. */
  void releaseWhenIdleFor(Duration idle, BooleanSupplier isNeeded) {
    // It has to sleep through the idle time of a whole library, which no device's thread does.
    Thread.ofPlatform()
        .daemon()
        .name("release idle NVML")
        .start(() -> watch(idle.toNanos(), isNeeded));
  }

  private void watch(long idleNanos, BooleanSupplier isNeeded) {
    while (!closed) {
      long restNanos = idleNanos - library.quietNanos();
      if (restNanos <= 0
          && !isNeeded.getAsBoolean()
          && library.isOpen()
          && library.release(idleNanos)) {
        LOG.log(System.Logger.Level.INFO, "GPUs are idle: the driver is let go of");
      }
      LockSupport.parkNanos(this, restNanos > 0 ? restNanos : idleNanos);
    }
  }

  @Override
  public void close() {
    closed = true;
    library.close();
  }
}
