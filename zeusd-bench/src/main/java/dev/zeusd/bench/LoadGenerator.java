package dev.zeusd.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The load generator, load.c, which describes the modes and options.
 *
 * @param program the executable
 * @param niceness added to the generator's own, as {@code nice -n} does; 0: none
 */
record LoadGenerator(Path program, int niceness) {
  /**
   * On top of what a run is meant to take; a daemon that answers nothing for so long has failed.
   */
  private static final long PATIENCE_SECONDS = 120;

  /** Runs it on a server and waits for what it found. */
  Measurement run(Server server, List<String> options, String mode, String request)
      throws BenchException, InterruptedException {
    try (Run run = start(server, options, mode, request)) {
      return run.await();
    }
  }

  /** Starts it, for what is to happen meanwhile. */
  Run start(Server server, List<String> options, String mode, String request)
      throws BenchException {
    List<String> command = new ArrayList<>();
    if (niceness != 0) {
      command.addAll(List.of("nice", "-n", String.valueOf(niceness)));
    }
    command.addAll(List.of(program.toString(), "-p", String.valueOf(server.pid())));
    command.addAll(options);
    command.addAll(List.of(mode, server.address(), request));
    command.addAll(server.headers());
    try {
      return new Run(new ProcessBuilder(command).start(), server);
    } catch (IOException e) {
      throw new BenchException("cannot run " + program + ": " + e.getMessage(), e);
    }
  }

  /** A load generator that runs. Closing it ends it. */
  static final class Run implements AutoCloseable {
    private final Process process;
    private final Server server;

    private Run(Process process, Server server) {
      this.process = process;
      this.server = server;
    }

    /**
     * What it found, at its end.
     *
     * @throws BenchException if it failed, with what it and the server said
     */
    Measurement await() throws BenchException, InterruptedException {
      // Its few lines fit into the pipes.
      if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        throw new BenchException("no end of the load after " + PATIENCE_SECONDS + " s");
      }
      try {
        String out = text(process.getInputStream().readAllBytes());
        String err = text(process.getErrorStream().readAllBytes());
        if (process.exitValue() != 0) {
          throw new BenchException(err + "\n" + server.lastWords());
        }
        return Measurement.parse(out);
      } catch (IOException e) {
        throw new BenchException("the load generator cannot be read: " + e.getMessage(), e);
      }
    }

    /**
     * Fails if it has ended: what was to happen meanwhile has not.
     *
     * @throws BenchException with what it said
     */
    void assertRuns() throws BenchException, InterruptedException {
      if (!process.isAlive()) {
        await();
        throw new BenchException("the load ended too early");
      }
    }

    private static String text(byte[] bytes) {
      return new String(bytes, StandardCharsets.ISO_8859_1).strip();
    }

    @Override
    public void close() {
      process.destroy();
    }
  }
}
