package dev.zeusd.cli;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Starts the command as nobody, from root, with the class path where nobody can read it. */
final class Unprivileged {
  private static final List<String> AS_NOBODY =
      List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups");

  private final Path directory;
  private final String classPath;

  /** Copies the class path to {@code directory}, which everybody may enter from then on. */
  Unprivileged(Path directory) throws IOException {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/setpriv")), "no setpriv (util-linux)");
    this.directory = directory;
    List<String> copies = new ArrayList<>();
    for (String entry : ClassPath.OWN.split(File.pathSeparator)) {
      if (!entry.isEmpty() && Files.exists(Path.of(entry))) {
        copies.add(readable(Path.of(entry)));
      }
    }
    classPath = String.join(File.pathSeparator, copies);
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** A copy of files that everybody may read. */
  String readable(Path original) throws IOException {
    Path copy = Files.createTempDirectory(directory, "copy").resolve(original.getFileName());
    try (Stream<Path> files = Files.walk(original)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(original.relativize(file)));
      }
    }
    for (Path up = copy; !up.equals(directory); up = up.getParent()) {
      Files.setPosixFilePermissions(up, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
    return copy.toString();
  }

  ZeusdProcess start(String... args) throws IOException {
    return ZeusdProcess.start(directory, Map.of(), AS_NOBODY, classPath, args);
  }
}
