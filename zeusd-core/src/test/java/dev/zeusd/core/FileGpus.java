package dev.zeusd.core;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** GPUs whose power another program writes to files: {@code gpu0}, {@code gpu1}, ..., in mW. */
final class FileGpus implements Backend<Gpu> {
  private final Path folder;
  private final List<Gpu> gpus = new ArrayList<>();

  FileGpus(Path folder) {
    this.folder = folder;
    lookForMore();
  }

  @Override
  public synchronized List<Gpu> devices() {
    return List.copyOf(gpus);
  }

  @Override
  public boolean mayHaveMore() {
    return Files.exists(fileOf(devices().size()));
  }

  @Override
  public synchronized void lookForMore() {
    while (Files.exists(fileOf(gpus.size()))) {
      int id = gpus.size();
      gpus.add(new FileGpu(GpuInfo.unknown(id), fileOf(id)));
    }
  }

  private Path fileOf(int id) {
    return folder.resolve("gpu" + id);
  }

  private record FileGpu(GpuInfo info, Path file) implements Gpu {
    @Override
    public long powerMw() {
      try {
        return Long.parseLong(Files.readString(file).strip());
      } catch (IOException | UncheckedIOException | NumberFormatException e) {
        throw new DeviceException.Failed("no power in " + file + ": " + e.getMessage(), e);
      }
    }
  }
}
