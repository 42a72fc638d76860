package dev.zeusd.core.kernel;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.ffm.posix.FileFacts;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;

/**
 * A file that holds one decimal number: opened at the first read, then read in place. After a
 * failure the next read opens it again.
 *
 * <p>Not thread-safe, but for {@link #close}.
 */
public final class NumberFile implements AutoCloseable {
  /** More than the 19 digits of a long and a newline. */
  private static final int CAPACITY = 32;

  private final Path path;
  private final ByteBuffer text = ByteBuffer.allocateDirect(CAPACITY);

  /** Which file is open, as its device and inode. */
  private Object openFile;

  private volatile FileChannel channel;

  /** Of a file that need not be there yet. */
  public NumberFile(Path path) {
    this.path = path;
  }

  /**
   * The number that is in the file now.
   *
   * @throws DeviceException naming the file, if it cannot be read or holds something else
   */
  public long read() {
    try {
      if (channel == null) {
        open();
      }
      text.clear();
      channel.read(text, 0);
      return parse();
    } catch (IOException e) {
      close();
      throw failure(e);
    } catch (NumberFormatException e) {
      close();
      throw new DeviceException.Failed(path + " does not hold a number: " + e.getMessage(), e);
    }
  }

  /**
   * The same, for who has read {@code last} before: should that be so again, because the file that
   * is open is no longer the one at this path, the one that is there now is read.
   */
  public long readAfter(long last) {
    long number = read();
    if (number == last && isReplaced()) {
      close();
      number = read();
    }
    return number;
  }

  private void open() throws IOException {
    // Looked up first: should the path change in between, isReplaced finds out later.
    BasicFileAttributes attributes = lookUp();
    if (!attributes.isRegularFile()) {
      // To open a FIFO waits for a writer, maybe for ever.
      throw new IOException("it is not a regular file");
    }
    openFile = attributes.fileKey();
    channel = FileChannel.open(path, StandardOpenOption.READ);
  }

  private BasicFileAttributes lookUp() throws IOException {
    return Files.readAttributes(path, BasicFileAttributes.class);
  }

  /** By hand, since a string for every read would be garbage at up to 1000 Hz. */
  private long parse() {
    int length = text.position();
    while (length > 0 && Character.isWhitespace(text.get(length - 1))) {
      length--;
    }
    long number = 0;
    for (int i = 0; i < length; i++) {
      int digit = text.get(i) - '0';
      if (digit < 0 || digit > 9 || number > (Long.MAX_VALUE - digit) / 10) {
        throw new NumberFormatException(quoted());
      }
      number = number * 10 + digit;
    }
    if (length == 0 || length == CAPACITY) {
      throw new NumberFormatException(quoted());
    }
    return number;
  }

  private String quoted() {
    StringBuilder quoted = new StringBuilder("\"");
    for (int i = 0; i < text.position(); i++) {
      char c = (char) text.get(i);
      quoted.append(c >= ' ' && c < 0x7f ? c : '.');
    }
    return quoted.append('"').toString();
  }

  /** Whether the path leads to another file than the one that is open, or nowhere. */
  public boolean isReplaced() {
    try {
      return !Objects.equals(openFile, lookUp().fileKey());
    } catch (IOException e) {
      return true;
    }
  }

  private DeviceException failure(IOException e) {
    if (e instanceof AccessDeniedException) {
      return new DeviceException.NoPermission(
          "no permission to read "
              + path
              + ": root may, and who has CAP_DAC_READ_SEARCH or is allowed to by the file's mode",
          e);
    }
    return new DeviceException.Failed("cannot read " + path + ": " + FileFacts.reason(e), e);
  }

  /** The path. */
  @Override
  public String toString() {
    return path.toString();
  }

  /** Closes the file; a read opens it again. */
  @Override
  public void close() {
    FileChannel open = channel;
    channel = null;
    if (open != null) {
      try {
        open.close();
      } catch (IOException e) {
        // Nothing was written, so nothing is lost.
      }
    }
  }
}
