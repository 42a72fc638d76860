package dev.zeusd.core.driver;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.ffm.driver.DriverException;
import java.util.List;

/** All GPUs that an opened library of a vendor reports. Thread-safe. */
public interface DriverGpus extends Opener.Opened {
  /** By id; may be empty. */
  List<Gpu> gpus();

  /** Whether the library was initialised since they were listed, as after a driver's reload. */
  boolean mayHaveMore();

  /**
   * Adds those that were not there before; the ids of the others do not change.
   *
   * @throws DriverException if the library does not even count them
   */
  void lookForMore() throws DriverException;

  /** Library and version, for people. */
  String description();

  /** Lets go of the library. */
  IdleRelease idle();
}
