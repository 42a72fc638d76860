package dev.zeusd.ffm.driver;

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
 * Where a library may be.
 *
 * <p>The places are those of the dynamic linker, looked through by ourselves, so that only regular
 * files with absolute paths are ever opened: the linker, and the JVM before it, also open what lies
 * in the current directory under that name, and wait for ever if it is a FIFO.
 */
public final class LibraryFiles {
  private static final Path LINKER_CACHE = Path.of("/etc/ld.so.cache");

  /** Where the linker looks without being told. */
  private static final List<String> LINKER_FOLDERS =
      List.of("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib");

  private LibraryFiles() {}

  /**
   * The files of this name that are there, the likeliest first.
   *
   * @param folders where else to look, absolute
   */
  public static Stream<Path> find(String name, List<String> folders) {
    return Stream.<Supplier<Stream<String>>>of(
            LibraryFiles::told,
            () -> cached(name),
            () -> Stream.concat(LINKER_FOLDERS.stream(), folders.stream()))
        .flatMap(Supplier::get)
        .map(folder -> in(folder, name))
        .distinct()
        .flatMap(LibraryFiles::regularFile);
  }

  /** The file of this name in one folder, if it is there and the folder's path is absolute. */
  public static Stream<Path> findIn(String folder, String name) {
    return folder.startsWith("/") ? regularFile(in(folder, name)) : Stream.empty();
  }

  /** LD_LIBRARY_PATH, in which an empty or relative item means the current directory. */
  private static Stream<String> told() {
    String path = System.getenv("LD_LIBRARY_PATH");
    return path == null
        ? Stream.empty()
        : Stream.of(path.split("[:;]")).filter(dir -> dir.startsWith("/"));
  }

  private static String in(String folder, String name) {
    return folder.endsWith("/") ? folder + name : folder + "/" + name;
  }

  /** The cache holds the paths as C strings, whatever its version. */
  private static Stream<String> cached(String name) {
    try {
      String cache = Files.readString(LINKER_CACHE, StandardCharsets.ISO_8859_1);
      Pattern path = Pattern.compile("(/[^\0]*/)" + Pattern.quote(name) + "\0");
      return path.matcher(cache).results().map(found -> found.group(1));
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
