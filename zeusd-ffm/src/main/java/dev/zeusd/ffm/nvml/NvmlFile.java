package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.driver.LibraryFiles;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Where the driver's library may be. The name without a version is none: it often is the CUDA
 * toolkit's stub, which answers nothing and stays in the process in the place of the real one.
 */
final class NvmlFile {
  static final String NAME = "libnvidia-ml.so.1";

  /** Those that container runtimes and WSL mount without telling the linker. */
  private static final List<String> FOLDERS =
      List.of("/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/run/opengl-driver/lib");

  private NvmlFile() {}

  /**
   * The files that are there, the likeliest first.
   *
   * @param folder the only one to look in; without it, all
   */
  static Stream<Path> candidates(Optional<Path> folder) {
    return folder.isPresent()
        ? LibraryFiles.findIn(folder.get().toAbsolutePath().toString(), NAME)
        : LibraryFiles.find(NAME, FOLDERS);
  }
}
