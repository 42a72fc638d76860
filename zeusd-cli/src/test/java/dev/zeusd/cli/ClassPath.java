package dev.zeusd.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;

/**
 * The class path of the tests, with an AOT cache for the processes that they start: these then take
 * half the processor time. A cache knows jars only, so the folders are made one.
 */
final class ClassPath {
  static final String OWN = System.getProperty("java.class.path");

  private static final Path CACHES = Path.of("target", "test-aot");
  private static final String AOT_CACHE = "zeusd.aot";
  private static final int FIRST_WITH_ONE_STEP_CACHES = 25;

  private ClassPath() {}

  /** The JVM's options by which a process has these classes; of the {@link #OWN} ones, quickly. */
  static List<String> options(String classPath) {
    return classPath.equals(OWN) ? Cached.OPTIONS : List.of("-cp", classPath);
  }

  /** Made once, when the first process is started. */
  private static final class Cached {
    static final List<String> OPTIONS = options();

    private static List<String> options() {
      if (Runtime.version().feature() < FIRST_WITH_ONE_STEP_CACHES) {
        return List.of("-cp", OWN);
      }
      try {
        Files.createDirectories(CACHES.getParent());
        // Several JVMs run tests at a time.
        try (FileChannel file =
            FileChannel.open(
                CACHES.resolveSibling("test-aot.lock"),
                StandardOpenOption.CREATE,
                StandardOpenOption.WRITE)) {
          file.lock();
          return cached();
        }
      } catch (IOException | InterruptedException e) {
        throw new IllegalStateException("no AOT cache of the tests' class path", e);
      }
    }

    private static List<String> cached() throws IOException, InterruptedException {
      List<Path> folders = new ArrayList<>();
      List<Path> jars = new ArrayList<>();
      for (String entry : OWN.split(":")) {
        Path path = Path.of(entry).toAbsolutePath();
        if (Files.isRegularFile(path)) {
          jars.add(path);
        } else if (Files.isDirectory(path) && !entry.isEmpty()) {
          folders.add(path);
        }
      }
      Path folder = CACHES.resolve(Integer.toHexString(stamp(folders, jars))).toAbsolutePath();
      Path jar = folder.resolve("folders.jar");
      Path cache = folder.resolve(AOT_CACHE);
      jars.addFirst(jar);
      List<String> classPath =
          List.of("-cp", String.join(":", jars.stream().map(Path::toString).toList()));
      if (!Files.exists(cache)) {
        if (Files.exists(CACHES)) {
          delete(CACHES);
        }
        Files.createDirectories(folder);
        pack(folders, jar);
        train(folder, classPath);
      }
      List<String> options = new ArrayList<>(List.of("-XX:AOTCache=" + cache));
      // A process that cannot read it, such as nobody's, does without and need not say so.
      options.addAll(List.of("-Xlog:aot*=off", "-Xlog:cds*=off"));
      options.addAll(classPath);
      return options;
    }

    /** Changes with the files. */
    private static int stamp(List<Path> folders, List<Path> jars) throws IOException {
      List<Object> said = new ArrayList<>();
      for (Path entry : Stream.concat(folders.stream(), jars.stream()).toList()) {
        // Of a jar, the walk is the jar itself.
        try (Stream<Path> files = Files.walk(entry)) {
          for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
            said.add(file);
            said.add(Files.getLastModifiedTime(file));
          }
        }
      }
      return said.hashCode();
    }

    private static void pack(List<Path> folders, Path jar) throws IOException {
      Set<String> packed = new HashSet<>();
      try (OutputStream out = Files.newOutputStream(jar);
          JarOutputStream entries = new JarOutputStream(out)) {
        for (Path folder : folders) {
          try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
              String name = folder.relativize(file).toString();
              // As on a class path, the first one counts.
              if (packed.add(name)) {
                entries.putNextEntry(new JarEntry(name));
                Files.copy(file, entries);
              }
            }
          }
        }
      }
    }

    /** A daemon that starts and stops. */
    private static void train(Path folder, List<String> classPath)
        throws IOException, InterruptedException {
      Path cache = folder.resolve(AOT_CACHE);
      List<String> options = new ArrayList<>(List.of("-XX:AOTCacheOutput=" + cache));
      options.addAll(classPath);
      try (ZeusdProcess daemon =
          ZeusdProcess.start(
              folder,
              Map.of(),
              List.of(),
              options,
              "serve",
              "--simulate",
              "--mode=tcp",
              "--tcp-bind-address=127.0.0.1:0")) {
        daemon.awaitListening();
        daemon.signal("TERM");
        daemon.awaitExit();
        if (!Files.exists(cache)) {
          throw new IOException(daemon.toString());
        }
      }
    }

    private static void delete(Path folder) throws IOException {
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }
}
