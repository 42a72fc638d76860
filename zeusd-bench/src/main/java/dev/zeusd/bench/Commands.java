package dev.zeusd.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Programs that are run for what they print. */
final class Commands {
  private Commands() {}

  /**
   * Its stdout without the newline at the end.
   *
   * @throws BenchException if it does not run, or fails; with what it said
   */
  static String output(List<String> command) throws BenchException, InterruptedException {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (process.waitFor() != 0) {
        throw new BenchException(String.join(" ", command) + " failed: " + out.strip());
      }
      return out.strip();
    } catch (IOException e) {
      throw new BenchException("cannot run " + command.getFirst() + ": " + e.getMessage(), e);
    }
  }
}
