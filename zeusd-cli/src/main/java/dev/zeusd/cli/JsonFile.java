package dev.zeusd.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/** Where a report goes; opened before the command runs, and replaced only when there is one. */
record JsonFile(Optional<FileChannel> channel) implements AutoCloseable {
  /**
   * Opens a file, or nothing.
   *
   * @throws StartupException if it cannot be written
   */
  static JsonFile open(Optional<Path> path) {
    if (path.isEmpty()) {
      return new JsonFile(Optional.empty());
    }
    try {
      return new JsonFile(
          Optional.of(
              FileChannel.open(path.get(), StandardOpenOption.WRITE, StandardOpenOption.CREATE)));
    } catch (IOException e) {
      throw new StartupException("cannot write " + path.get() + ": " + reason(e));
    }
  }

  static String reason(IOException e) {
    return switch (e) {
      case NoSuchFileException _ -> "there is no such folder";
      case AccessDeniedException _ -> "this user may not";
      case FileSystemException of when of.getReason() != null -> of.getReason();
      default -> e.getMessage();
    };
  }

  void write(String text) throws IOException {
    if (channel.isPresent()) {
      FileChannel file = channel.get();
      if (file.size() > 0) {
        file.truncate(0);
      }
      ByteBuffer bytes = ByteBuffer.wrap((text + "\n").getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        file.write(bytes);
      }
    }
  }

  @Override
  public void close() throws IOException {
    if (channel.isPresent()) {
      channel.get().close();
    }
  }
}
