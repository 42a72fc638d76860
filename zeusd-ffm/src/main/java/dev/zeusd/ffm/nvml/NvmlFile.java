package dev.zeusd.ffm.nvml;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Where the driver's library may be.
 *
 * <p>The places are those of the dynamic linker, looked through by ourselves, so that only regular
 * files with absolute paths are ever opened: the linker, and the JVM before it, also open what lies
 * in the current directory under that name, and wait for ever if it is a FIFO. The name without a
 * version is none: it often is the CUDA toolkit's stub, which answers nothing and stays in the
 * process in the place of the real one.
 */
final class NvmlFile {
  static final String NAME = "libnvidia-ml.so.1";

  private static final Path LINKER_CACHE = Path.of("/etc/ld.so.cache");

  /** The cache holds the paths as C strings, whatever its version. */
  private static final Pattern CACHED = Pattern.compile("(/[^\0]*/" + Pattern.quote(NAME) + ")\0");

  /** The linker's own, and then those that container runtimes and WSL mount without telling it. */
  private static final List<String> FOLDERS =
      List.of(
          "/usr/lib/x86_64-linux-gnu",
          "/usr/lib/aarch64-linux-gnu",
          "/usr/lib64",
          "/usr/lib",
          "/usr/local/nvidia/lib64",
          "/usr/lib/wsl/lib",
          "/run/opengl-driver/lib");

  private NvmlFile() {}

  /** The files that are there, the likeliest first. */
  static Stream<Path> candidates() {
    return Stream.<Supplier<Stream<String>>>of(NvmlFile::told, NvmlFile::cached, NvmlFile::usual)
        .flatMap(Supplier::get)
        .distinct()
        .flatMap(NvmlFile::regularFile);
  }

  /** LD_LIBRARY_PATH, in which an empty or relative item means the current directory. */
  private static Stream<String> told() {
    String path = System.getenv("LD_LIBRARY_PATH");
    return path == null
        ? Stream.empty()
        : Stream.of(path.split("[:;]")).filter(dir -> dir.startsWith("/")).map(NvmlFile::in);
  }

  private static Stream<String> usual() {
    return FOLDERS.stream().map(NvmlFile::in);
  }

  private static String in(String folder) {
    return folder.endsWith("/") ? folder + NAME : folder + "/" + NAME;
  }

  private static Stream<String> cached() {
    try {
      String cache = Files.readString(LINKER_CACHE, StandardCharsets.ISO_8859_1);
      return CACHED.matcher(cache).results().map(found -> found.group(1));
    } catch (IOException e) {
      // As with musl or in a bare container: then there is none.
      return Stream.empty();
    }
  }

  private static Stream<Path> regularFile(String path) {
    try {
      Path file = Path.of(path);
      return Files.isRegularFile(file) ? Stream.of(file) : Stream.empty();
    } catch (InvalidPathException e) {
      return Stream.empty();
    }
  }
}
