package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.driver.DriverSession;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Predicate;

/** NVML as it is loaded and initialised; after an upgrade of the driver, it is exchanged. */
final class NvmlSession extends DriverSession<NvmlCalls, NvmlException> {
  private final Optional<Path> folder;
  private final Predicate<Path> afterUpgrade;

  /** Null while it is not loaded. */
  private NvmlCalls loaded;

  private boolean hasWorked;
  private boolean exchangesAfterUpgrade = true;

  /**
   * Of nothing yet; the parameters are as {@link NvmlLibrary#open(Optional, Predicate)} has them.
   */
  NvmlSession(Optional<Path> folder, Predicate<Path> afterUpgrade) {
    super("NVML");
    this.folder = folder;
    this.afterUpgrade = afterUpgrade;
  }

  @Override
  protected NvmlCalls initialise(boolean isQuiet) throws NvmlException {
    if (loaded == null) {
      loaded = NvmlCalls.load(folder);
    }
    int result = loaded.call(NvmlFunction.INIT);
    if (result == NvmlReturn.LIB_RM_VERSION_MISMATCH.code() && mayExchange() && isQuiet) {
      unload();
      loaded = NvmlCalls.load(folder);
      result = loaded.call(NvmlFunction.INIT);
    }
    NvmlFunction.INIT.check(result);
    hasWorked = true;
    return loaded;
  }

  /** Library and kernel differ: asked once for each library that has worked. */
  private boolean mayExchange() {
    if (hasWorked) {
      hasWorked = false;
      exchangesAfterUpgrade = afterUpgrade.test(loaded.file());
    }
    return exchangesAfterUpgrade;
  }

  @Override
  protected void shutDown() {
    try {
      loaded.call(NvmlFunction.SHUTDOWN);
    } catch (NvmlException e) {
      // It lacks the function: then there is no more to be done.
    }
  }

  @Override
  protected void unload() {
    if (loaded != null) {
      loaded.close();
      loaded = null;
    }
  }

  @Override
  protected NvmlException beingOpened(String message) {
    return new NvmlException(message, NvmlReturn.TIMEOUT);
  }

  @Override
  protected NvmlException closed(String message) {
    return new NvmlException(message, NvmlReturn.UNINITIALIZED);
  }
}
