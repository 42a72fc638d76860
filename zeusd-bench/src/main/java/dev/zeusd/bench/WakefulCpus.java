package dev.zeusd.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/** Keeps the CPUs from sleeping while it is open, by awake.c, which says what that is good for. */
final class WakefulCpus implements AutoCloseable {
  private final Optional<Process> process;

  private WakefulCpus(Optional<Process> process) {
    this.process = process;
  }

  /** Lets them sleep. */
  static WakefulCpus none() {
    return new WakefulCpus(Optional.empty());
  }

  /**
   * Keeps them awake.
   *
   * @param program awake.c, compiled
   */
  static WakefulCpus start(Path program) throws BenchException {
    try {
      return new WakefulCpus(
          Optional.of(new ProcessBuilder(program.toString()).inheritIO().start()));
    } catch (IOException e) {
      throw new BenchException("cannot run " + program + ": " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    process.ifPresent(Process::destroy);
  }
}
