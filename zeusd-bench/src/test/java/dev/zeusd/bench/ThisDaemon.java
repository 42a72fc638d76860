package dev.zeusd.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/** The programs that the tests measure with: made by this build, in no image. */
final class ThisDaemon {
  private ThisDaemon() {}

  /** An executable of the daemon as it is on our class path. */
  static Path executable(Path directory) throws IOException {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    String script =
        """
        #!/bin/sh
        exec '%s' -XX:+UseSerialGC -XX:TieredStopAtLevel=1 --enable-native-access=ALL-UNNAMED \\
          -cp '%s' dev.zeusd.cli.Zeusd "$@"
        """
            .formatted(java, System.getProperty("java.class.path"));
    Path file = Files.writeString(directory.resolve("zeusd"), script);
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** The folder with the load generator and the echo server. */
  static Path nativeDirectory() {
    return built("bench.native.dir", "load");
  }

  /** The folder with the fake NVML. */
  static Path fakeNvmlDirectory() {
    return built("fake.nvml.dir", "libnvidia-ml.so.1");
  }

  private static Path built(String property, String file) {
    Path directory = Path.of(System.getProperty(property));
    if (!Files.exists(directory.resolve(file))) {
      throw new IllegalStateException(
          file
              + " is not built: install a C compiler (for example: apt-get install gcc libc6-dev)"
              + " and run mvn again");
    }
    return directory;
  }
}
