package dev.zeusd.server.audit;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.Strangers;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A line of JSON for each event, at the end of a file that nobody else can write to. */
final class AuditFile implements AuditSink {
  private static final Set<PosixFilePermission> MODE = PosixFilePermissions.fromString("rw-r-----");

  /** These are links that lead to no path where they lead to a pipe, as in a container. */
  private static final Map<String, FileDescriptor> STANDARD =
      Map.of("/dev/stdout", FileDescriptor.out, "/dev/stderr", FileDescriptor.err);

  private final FileChannel channel;

  /** Whether it has a size, so that the rest of a line can be taken back. */
  private final boolean isRegular;

  /** A part of a line is there, which cannot be taken back. */
  private boolean isTorn;

  /** It is one of the process's own, which others write to as well. */
  private final boolean isStandard;

  private AuditFile(FileChannel channel, boolean isStandard, boolean isRegular) {
    this.channel = channel;
    this.isStandard = isStandard;
    this.isRegular = isRegular;
  }

  /**
   * Opens it, and makes it if it is not there.
   *
   * @param path absolute
   * @throws IOException also if somebody else could write to it, or put something in its place
   */
  static AuditFile open(Path path) throws IOException {
    FileDescriptor standard = STANDARD.get(path.toString());
    if (standard != null) {
      @SuppressWarnings("resource") // It is the process's, and stays open.
      FileChannel channel = new FileOutputStream(standard).getChannel();
      return new AuditFile(channel, true, false);
    }
    if (!Files.isDirectory(path.getParent())) {
      throw refused(path, "there is no folder " + path.getParent());
    }
    refuseIf(path, Strangers.whoReplaces(path.getParent()));
    boolean isNew = make(path);
    try {
      refuseIf(path, Strangers.whoReplaces(path));
      FileFacts facts = FileFacts.ofTarget(path);
      refuseIf(path, whoWrites(path, facts));
      if (isNew) {
        // Whatever the umask is.
        Files.setPosixFilePermissions(path, MODE);
      }
      return new AuditFile(
          FileChannel.open(path, StandardOpenOption.WRITE, StandardOpenOption.APPEND),
          false,
          facts.isRegular());
    } catch (IOException e) {
      if (isNew) {
        Files.deleteIfExists(path);
      }
      throw e;
    }
  }

  /** Never through a link; whether it was not there. */
  private static boolean make(Path path) throws IOException {
    try {
      FileChannel.open(
              path,
              Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW),
              PosixFilePermissions.asFileAttribute(MODE))
          .close();
      return true;
    } catch (FileAlreadyExistsException e) {
      return false;
    }
  }

  private static Optional<String> whoWrites(Path path, FileFacts facts) throws IOException {
    boolean isDevice = !facts.isRegular() && !facts.isDirectory() && facts.uid() == 0;
    if (facts.isDirectory()) {
      throw refused(path, "it is a directory");
    }
    if (!isDevice && Strangers.mayWrite(facts)) {
      return Optional.of("its mode lets others write to it; run: chmod go-w it");
    }
    return Strangers.isTrusted(facts.uid())
        ? Optional.empty()
        : Optional.of("it belongs to " + Strangers.user(path.toRealPath()));
  }

  private static void refuseIf(Path path, Optional<String> stranger) throws IOException {
    if (stranger.isPresent()) {
      throw refused(path, "others could change it: " + stranger.get());
    }
  }

  private static FileSystemException refused(Path path, String why) {
    return new FileSystemException(path.toString(), null, why);
  }

  @Override
  public void write(byte[] line) throws IOException {
    ByteBuffer bytes =
        isTorn
            ? ByteBuffer.allocate(1 + line.length).put((byte) '\n').put(line).flip()
            : ByteBuffer.wrap(line);
    long before = isRegular ? channel.size() : 0;
    try {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      isTorn = false;
    } catch (IOException e) {
      isTorn |= bytes.position() > 0 && !takeBack(before, bytes.position());
      throw e;
    }
  }

  /** Unless somebody else has written behind it. */
  private boolean takeBack(long before, int written) {
    try {
      boolean isLast = isRegular && channel.size() == before + written;
      if (isLast) {
        channel.truncate(before);
      }
      return isLast;
    } catch (IOException e) {
      return false;
    }
  }

  @Override
  public void close() {
    if (isStandard) {
      return;
    }
    try {
      channel.close();
    } catch (IOException e) {
      // What was written has been written.
    }
  }
}
