package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.server.fuzz.Crowd;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A {@link Crowd} that another user of this machine sends. */
final class OtherUser implements AutoCloseable {
  /** Nobody. */
  static final int NOBODY = 65_534;

  private final Process process;
  private final BufferedReader output;

  private OtherUser(Process process) {
    this.process = process;
    this.output = process.inputReader();
  }

  /** Skips the test, loudly, where users cannot be changed. */
  static void assumePossible() throws IOException {
    boolean isRoot = (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid") == 0;
    boolean possible = isRoot && Files.isExecutable(Path.of("/usr/bin/setpriv"));
    if (!possible) {
      System.err.println(
          "NOT TESTED: what one user can do to others needs root and setpriv (util-linux)");
    }
    assumeTrue(possible, "needs root and setpriv");
  }

  /** Starts it as the user {@code uid}; the other arguments are those of {@link Crowd}. */
  static OtherUser start(int uid, Path directory, Object... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                "setpriv",
                "--reuid=" + uid,
                "--regid=" + uid,
                "--clear-groups",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                classPath(directory).toString(),
                Crowd.class.getName()));
    Stream.of(arguments).map(Object::toString).forEach(command::add);
    return new OtherUser(
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
  }

  /** Its classes, copied to where every user may read them. */
  private static Path classPath(Path directory) throws IOException {
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
    String folder = Crowd.class.getPackageName().replace('.', '/');
    Path classes = Files.createDirectories(directory.resolve("classes"));
    Path target = Files.createDirectories(classes.resolve(folder));
    Path source =
        Path.of(Crowd.class.getProtectionDomain().getCodeSource().getLocation().getPath(), folder);
    try (Stream<Path> files = Files.list(source)) {
      for (Path file : files.filter(f -> f.getFileName().toString().startsWith("Crowd")).toList()) {
        Path copy = target.resolve(file.getFileName());
        Files.copy(file, copy, StandardCopyOption.REPLACE_EXISTING);
        Files.setPosixFilePermissions(copy, PosixFilePermissions.fromString("rw-r--r--"));
      }
    }
    return classes;
  }

  private String report() {
    try {
      process.outputWriter().append('\n').flush();
      String line = output.readLine();
      assertNotNull(line, "the other user's program has ended");
      return line;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** How many connections it has opened so far. */
  int opened() {
    return number("opened=(\\d+)");
  }

  /** How many of them have ended. */
  int ended() {
    return number("ended=(\\d+)");
  }

  /** How many connections got this status first. */
  int answered(int status) {
    return number(status + "=(\\d+)");
  }

  private int number(String pattern) {
    Matcher matcher = Pattern.compile(pattern).matcher(report());
    return matcher.find() ? Integer.parseInt(matcher.group(1)) : 0;
  }

  @Override
  public void close() throws IOException {
    process.outputWriter().close();
    process.destroyForcibly();
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
