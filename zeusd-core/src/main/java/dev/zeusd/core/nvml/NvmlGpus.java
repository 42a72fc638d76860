package dev.zeusd.core.nvml;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.DriverGpus;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.driver.IdleRelease;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** All GPUs that NVML reports. Thread-safe. */
final class NvmlGpus implements DriverGpus {
  private final NvmlLibrary library;
  private final String driverVersion;

  /** Grows, but changes in no other way. */
  private volatile List<NvmlGpu> gpus;

  /** The generation of the driver that they were listed in. */
  private volatile int listedIn;

  private final GpuIds ids;
  private final IdleRelease idle;

  private NvmlGpus(NvmlLibrary library, GpuIds ids, String driverVersion, List<NvmlGpu> gpus) {
    this.library = library;
    this.ids = ids;
    this.idle = new IdleRelease("NVML", library::quietNanos, library::isOpen, library::release);
    this.driverVersion = driverVersion;
    this.gpus = gpus;
    this.listedIn = library.generation();
  }

  /**
   * Loads NVML and lists its GPUs, without asking them anything.
   *
   * @param folder where the library is; without it, in the usual places
   * @param afterUpgrade as {@link NvmlLibrary#open(Optional, Predicate)}
   * @param ids where their ids come from
   * @throws NvmlException where the library cannot be loaded or does not initialise
   */
  static NvmlGpus open(Optional<Path> folder, Predicate<Path> afterUpgrade, GpuIds ids)
      throws NvmlException {
    NvmlLibrary library = NvmlLibrary.open(folder, afterUpgrade);
    try {
      int count = library.deviceCount();
      List<NvmlGpu> gpus = new ArrayList<>(count);
      int firstId = ids.take(count);
      for (int index = 0; index < count; index++) {
        gpus.add(new NvmlGpu(firstId + index, library, library.device(index)));
      }
      return new NvmlGpus(library, ids, versionOf(library), List.copyOf(gpus));
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

  @Override
  public List<Gpu> gpus() {
    return List.copyOf(gpus);
  }

  @Override
  public boolean mayHaveMore() {
    return library.generation() != listedIn;
  }

  /**
   * Adds the GPUs that were not there before, behind the others, whose ids do not change. A GPU is
   * known by its UUID; while one has not told its own, the next call looks again. Where there are
   * no more than were known, none is asked: most likely nobody wants it.
   *
   * @throws NvmlException if NVML does not even count them
   */
  @Override
  public synchronized void lookForMore() throws NvmlException {
    int generation = library.generation();
    if (library.deviceCount() <= gpus.size()) {
      listedIn = generation;
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
          all.add(new NvmlGpu(ids.take(1), library, library.device(index, uuid)));
        }
      }
      gpus = List.copyOf(all);
    }
    if (allAnswer && (allKnown || !allHave)) {
      listedIn = generation;
    }
  }

  @Override
  public String description() {
    return "NVML, driver " + driverVersion;
  }

  @Override
  public IdleRelease idle() {
    return idle;
  }

  @Override
  public void close() {
    idle.close();
    library.close();
  }
}
