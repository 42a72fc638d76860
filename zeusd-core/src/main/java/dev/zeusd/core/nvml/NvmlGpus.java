package dev.zeusd.core.nvml;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.ffm.nvml.NvmlException;
import dev.zeusd.ffm.nvml.NvmlLibrary;
import java.util.ArrayList;
import java.util.List;

/** All GPUs that NVML reports when it is opened. */
public final class NvmlGpus implements AutoCloseable {
  private final NvmlLibrary library;
  private final String driverVersion;
  private final List<Gpu> gpus;

  private NvmlGpus(NvmlLibrary library, String driverVersion, List<Gpu> gpus) {
    this.library = library;
    this.driverVersion = driverVersion;
    this.gpus = gpus;
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
      List<Gpu> gpus = new ArrayList<>(count);
      for (int id = 0; id < count; id++) {
        gpus.add(new NvmlGpu(id, library.device(id)));
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
    return gpus;
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
