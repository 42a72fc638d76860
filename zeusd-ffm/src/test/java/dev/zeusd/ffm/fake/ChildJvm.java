package dev.zeusd.ffm.fake;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Runs a class's {@code main} in a JVM of its own, for what one process can do only once: load a
 * library, or find none.
 */
public final class ChildJvm {
  private static final long LIMIT_SECONDS = 300;

  /** For a JVM that may not call native code. */
  public static final String DENY_NATIVE_ACCESS = "--illegal-native-access=deny";

  private ChildJvm() {}

  /** How a child ended; {@code output} is stdout and stderr together. */
  public record Result(int exitCode, String output) {
    /** The value of the first line {@code key=value}; fails with the whole output if none is. */
    public String value(String key) {
      return output
          .lines()
          .filter(line -> line.startsWith(key + "="))
          .map(line -> line.substring(key.length() + 1))
          .findFirst()
          .orElseThrow(() -> new AssertionError("no " + key + " in the output of exit " + this));
    }
  }

  /**
   * Runs {@code main} with this JVM's class path, and of the variables that lead to a library only
   * those in {@code environment}.
   */
  public static Result run(Class<?> main, Map<String, String> environment, String... jvmArguments)
      throws IOException, InterruptedException {
    return runIn(Path.of(""), main, environment, jvmArguments);
  }

  /** The same in a directory of its own. */
  public static Result runIn(
      Path directory, Class<?> main, Map<String, String> environment, String... jvmArguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-Xmx128m");
    if (!List.of(jvmArguments).contains(DENY_NATIVE_ACCESS)) {
      command.add("--enable-native-access=ALL-UNNAMED");
    }
    command.addAll(List.of(jvmArguments));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.directory(directory.toAbsolutePath().toFile());
    builder.environment().remove("LD_LIBRARY_PATH");
    builder.environment().remove("FAKE_NVML_STATE");
    builder.environment().putAll(environment);
    // To a file: a child that hangs would keep a reader of its pipe as well.
    Path output = Files.createTempFile("child-jvm", ".out");
    try {
      Process process = builder.redirectOutput(output.toFile()).start();
      if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
        throw new AssertionError(main + " hangs; output so far: " + Files.readString(output));
      }
      return new Result(process.exitValue(), Files.readString(output, StandardCharsets.UTF_8));
    } finally {
      Files.delete(output);
    }
  }
}
