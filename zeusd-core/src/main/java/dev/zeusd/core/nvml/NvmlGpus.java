package dev.zeusd.core.nvml;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** All GPUs that NVML reports. Thread-safe. */
public final class NvmlGpus implements AutoCloseable {
  private final NvmlLibrary library;
  private final String driverVersion;

  /** Grows, but changes in no other way. */
  private volatile List<NvmlGpu> gpus;

  /** The initialisation of NVML that they were listed in. */
  private volatile int listedIn;

  private NvmlGpus(NvmlLibrary library, String driverVersion, List<NvmlGpu> gpus) {
    this.library = library;
    this.driverVersion = driverVersion;
    this.gpus = gpus;
    this.listedIn = library.initialisations();
  }

  /**
   * Loads NVML and lists its GPUs, without asking them anything.
   *
   * @throws NvmlException where the library cannot be loaded or does not initialise
   */
  public static NvmlGpus open() throws NvmlException {
    NvmlLibrary library = NvmlLibrary.open();
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
  public List<Gpu> gpus() {
    return List.copyOf(gpus);
  }

  /** Whether NVML was initialised since they were listed, such as after a reload of the driver. */
  public boolean mayHaveMore() {
    return library.initialisations() != listedIn;
  }

  /**
   * Adds the GPUs that were not there before, behind the others, whose ids do not change. A GPU is
   * known by its UUID; while one has not told its own, the next call looks again.
   *
   * @throws NvmlException if NVML does not even count them
   */
  public synchronized void lookForMore() throws NvmlException {
    int initialisation = library.initialisations();
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
  public String driverVersion() {
    return driverVersion;
  }

  @Override
  public void close() {
    library.close();
  }
}
