package dev.zeusd.core.amdsmi;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.DriverGpus;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.driver.IdleRelease;
import dev.zeusd.ffm.amdsmi.AmdSmiException;
import dev.zeusd.ffm.amdsmi.AmdSmiLibrary;
import dev.zeusd.ffm.amdsmi.AmdSmiPlace;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** All GPUs that AMD SMI reports. Thread-safe. */
final class AmdSmiGpus implements DriverGpus {
  private final AmdSmiLibrary library;
  private final GpuIds ids;
  private final IdleRelease idle;

  /** Grows, but changes in no other way. */
  private volatile List<AmdSmiGpu> gpus = List.of();

  /** The generation of the driver that they were listed in. */
  private volatile int listedIn = -1;

  private AmdSmiGpus(AmdSmiLibrary library, GpuIds ids) {
    this.library = library;
    this.ids = ids;
    this.idle = new IdleRelease("AMD SMI", library::quietNanos, library::isOpen, library::release);
  }

  /**
   * Loads AMD SMI and lists its GPUs, without asking them anything but where and who they are. They
   * get their ids by {@link #lookForMore}.
   *
   * @param folder where the library is; without it, in the usual places
   */
  static AmdSmiGpus open(Optional<Path> folder, GpuIds ids) throws AmdSmiException {
    AmdSmiLibrary library =
        folder.isPresent() ? AmdSmiLibrary.openIn(folder.get()) : AmdSmiLibrary.open();
    return new AmdSmiGpus(library, ids);
  }

  @Override
  public List<Gpu> gpus() {
    return List.copyOf(gpus);
  }

  @Override
  public boolean mayHaveMore() {
    return library.generation() != listedIn;
  }

  @Override
  public synchronized void lookForMore() {
    int generation = library.generation();
    Set<AmdSmiPlace> known = gpus.stream().map(AmdSmiGpu::place).collect(Collectors.toSet());
    List<AmdSmiPlace> added =
        library.places().stream().filter(place -> !known.contains(place)).toList();
    List<AmdSmiGpu> all = new ArrayList<>(gpus);
    int id = ids.take(added.size());
    for (AmdSmiPlace place : added) {
      all.add(new AmdSmiGpu(id++, library, library.device(place)));
    }
    gpus = List.copyOf(all);
    listedIn = generation;
  }

  @Override
  public String description() {
    return "AMD SMI " + library.description();
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
