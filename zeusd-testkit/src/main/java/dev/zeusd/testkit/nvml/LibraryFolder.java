package dev.zeusd.testkit.nvml;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;

/**
 * Where the fake library comes from: this artifact's jar, which holds its source and, compiled,
 * what the machine could run that built the jar. Our own build, where there is no jar yet, names a
 * folder with the same by the system property {@code fake.nvml.dir}.
 */
final class LibraryFolder {
  static final String NAME = "libnvidia-ml.so.1";

  private static final String SOURCE = "fake_nvml.c";

  /** Null until it is asked for. */
  private static Path shared;

  private LibraryFolder() {}

  /** A folder with the library and its source. */
  static synchronized Path shared() {
    if (shared == null) {
      String built = System.getProperty("fake.nvml.dir");
      shared = built == null ? unpacked() : Path.of(built).toAbsolutePath();
    }
    if (!Files.exists(shared.resolve(NAME))) {
      throw noCompiler();
    }
    return shared;
  }

  private static IllegalStateException noCompiler() {
    return new IllegalStateException(
        "there is no fake NVML for this machine: install a C compiler"
            + " (for example: apt-get install gcc libc6-dev) and try again");
  }

  /** A new folder with a library of its own, which goes when the JVM ends. */
  static Path newCopy() {
    Path library = shared().resolve(NAME);
    try {
      Path folder = newFolder();
      Files.copy(library, deletedOnExit(folder.resolve(NAME)));
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException("the fake NVML cannot be copied", e);
    }
  }

  private static Path newFolder() throws IOException {
    return deletedOnExit(Files.createTempDirectory("fake-nvml"));
  }

  /** After those that were told before, so that a folder is empty by then. */
  static Path deletedOnExit(Path path) {
    path.toFile().deleteOnExit();
    return path;
  }

  private static Path unpacked() {
    try {
      Path folder = newFolder();
      unpack(SOURCE, folder.resolve(SOURCE));
      unpack("nvml.h", folder.resolve("nvml.h"));
      Path library = folder.resolve(NAME);
      if (!unpack(System.getProperty("os.arch") + "/" + NAME, library)) {
        build(folder, deletedOnExit(library), List.of("-Wl,-soname," + NAME));
      }
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException("the fake NVML cannot be unpacked", e);
    }
  }

  private static boolean unpack(String resource, Path file) throws IOException {
    try (InputStream in = LibraryFolder.class.getResourceAsStream(resource)) {
      if (in != null) {
        Files.copy(in, deletedOnExit(file));
      }
      return in != null;
    }
  }

  /**
   * Compiles the library to a file.
   *
   * @param options for the C compiler
   */
  static void build(Path file, List<String> options) {
    build(shared(), file, options);
  }

  private static void build(Path sources, Path file, List<String> options) {
    List<String> command =
        new ArrayList<>(List.of("cc", "-std=c11", "-O2", "-fPIC", "-shared", "-I", "."));
    command.addAll(options);
    // Never written over: a process may have it mapped.
    Path made = file.resolveSibling(file.getFileName() + ".new").toAbsolutePath();
    command.addAll(List.of("-o", made.toString(), SOURCE, "-lm"));
    try {
      Process cc = start(command, sources.toFile());
      String output = new String(cc.getInputStream().readAllBytes());
      if (cc.waitFor() != 0) {
        throw new IllegalStateException("failed: " + String.join(" ", command) + "\n" + output);
      }
      Files.move(made, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new UncheckedIOException("the fake NVML cannot be compiled", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while the fake NVML was compiled", e);
    }
  }

  private static Process start(List<String> command, File folder) {
    try {
      return new ProcessBuilder(command).directory(folder).redirectErrorStream(true).start();
    } catch (IOException e) {
      throw noCompiler();
    }
  }
}
