package dev.zeusd.ffm.posix;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Reads small files that people name, who may have named something else than they meant. */
public final class OrdinaryFile {
  /** A small file is read in a millisecond, and over a busy network in some more. */
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private OrdinaryFile() {}

  /**
   * The bytes of a file, as they are.
   *
   * @throws IOException as the system says; and with a reason for {@link FileFacts#reason} if it is
   *     no regular file, has more than {@code maxBytes}, or keeps its reader waiting
   */
  public static byte[] read(Path file, int maxBytes) throws IOException {
    FutureTask<byte[]> reading = new FutureTask<>(() -> readNow(file, maxBytes));
    // On a thread of its own: some regular files keep their reader waiting for ever, such as
    // /proc/kmsg, and so does a file system whose server is away.
    Thread.ofPlatform().daemon().name("read " + file.getFileName()).start(reading);
    try {
      return reading.get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      throw refused(file, "it has kept its reader waiting for " + PATIENCE.toSeconds() + " s");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw refused(file, "the thread at it was interrupted");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException failure) {
        throw failure;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  private static byte[] readNow(Path file, int maxBytes) throws IOException {
    FileFacts facts = FileFacts.ofTarget(file);
    if (!facts.isRegular()) {
      // Not even opened: a FIFO would keep us waiting, and a device may take it as a command.
      throw refused(
          file,
          facts.isDirectory()
              ? "it is a directory"
              : "it is not a regular file (but a FIFO, socket or device)");
    }
    // Not by its size: that of some files says nothing.
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(maxBytes);
      if (in.read() >= 0) {
        throw refused(file, "it has more than " + maxBytes + " bytes");
      }
      return bytes;
    }
  }

  private static IOException refused(Path file, String why) {
    return new FileSystemException(file.toString(), null, why);
  }
}
