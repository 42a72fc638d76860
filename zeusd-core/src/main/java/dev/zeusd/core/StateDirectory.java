package dev.zeusd.core;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.Strangers;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.zip.CRC32;

/**
 * The directory with what must outlive the process: small files of text, each of them whole or not
 * there, which are good until the machine is booted anew.
 *
 * <p>A file is written beside its place, forced to the disk and renamed. Its first line names the
 * boot that it is of, and a checksum of the rest. One that is damaged is set aside under the name
 * {@code NAME.damaged}, and taken as not there.
 *
 * <p>It belongs to one process at a time, from its opening to the end of the process. Thread-safe.
 * Calls wait for the disk.
 */
public final class StateDirectory {
  private static final System.Logger LOG = System.getLogger(StateDirectory.class.getName());
  private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");
  private static final String FORMAT = "zeusd-state-1";

  static final FileAttribute<?> ONLY_OURS =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  /** More than any of these files needs. */
  private static final int MAX_BYTES = 1 << 24;

  private final Path dir;
  private final Path realDir;
  private final String bootId;

  private StateDirectory(Path dir, Path realDir, String bootId) {
    this.dir = dir;
    this.realDir = realDir;
    this.bootId = bootId;
  }

  /**
   * Opens a directory, which is made if need be.
   *
   * @param dir the directory; made if its parent is there
   * @param without what cannot be had without it, for the warning
   * @return empty, and a warning in the log, if it cannot be used
   */
  public static Optional<StateDirectory> open(Path dir, String without) {
    try {
      return Optional.of(open(dir));
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, whyNot(dir, e, without));
      return Optional.empty();
    }
  }

  /**
   * The same, for those who try again later.
   *
   * @param dir the directory; made if its parent is there
   * @return the directory, which belongs to this process from now on
   * @throws IOException if it cannot be used now
   */
  public static StateDirectory open(Path dir) throws IOException {
    return openOn(bootId(), dir);
  }

  /**
   * For people: why one cannot be used, and what cannot be had {@code without} it.
   *
   * @param dir the directory; made if its parent is there
   * @param failure as {@link #open(Path)} has thrown it
   * @param without what cannot be had without the directory, such as "leases do not outlive the
   *     daemon"
   * @return a sentence for the log
   */
  public static String whyNot(Path dir, IOException failure, String without) {
    return "the state directory %s cannot be used (%s), so %s"
        .formatted(dir, FileFacts.reason(failure), without);
  }

  private static String bootId() throws IOException {
    try {
      return Files.readString(BOOT_ID).strip();
    } catch (IOException e) {
      throw new IOException(BOOT_ID + " cannot be read", e);
    }
  }

  /** The same on a boot of that id. */
  static StateDirectory openOn(String bootId, Path dir) throws IOException {
    Path absolute = dir.toAbsolutePath();
    if (!Files.isDirectory(dir)) {
      refuse(Strangers.onTheWayTo(absolute.getParent()));
      Files.createDirectories(
          dir, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }
    refuse(Strangers.whoReplaces(absolute));
    refuse(Strangers.whoChangesEntries(absolute));
    if (!Files.isWritable(dir)) {
      throw new AccessDeniedException(dir.toString());
    }
    Path realDir = dir.toRealPath();
    StateLock.take(realDir);
    return new StateDirectory(dir, realDir, bootId);
  }

  private static void refuse(Optional<String> stranger) throws IOException {
    if (stranger.isPresent()) {
      throw new IOException(
          stranger.get()
              + "; only root and the daemon's user may change what is kept there: chown or chmod"
              + " go-w mends that");
    }
  }

  /** {@return whether it is locked by this process: somebody may have removed the lock's file} */
  public boolean isLocked() {
    return StateLock.isHeld(realDir);
  }

  static BasicFileAttributes facts(Path file) throws IOException {
    return Files.readAttributes(file, BasicFileAttributes.class, NOFOLLOW_LINKS);
  }

  /**
   * {@return the lines of a file that {@link #write} has written on this boot; empty if there is
   * none}
   *
   * @param name of the file, without a folder
   */
  public synchronized Optional<List<String>> read(String name) {
    Path file = dir.resolve(name);
    try {
      BasicFileAttributes facts = facts(file);
      if (!facts.isRegularFile() || facts.size() > MAX_BYTES) {
        throw new IOException("it is not a file of this program");
      }
      String text;
      try (InputStream in = Files.newInputStream(file, NOFOLLOW_LINKS)) {
        text = new String(in.readNBytes(MAX_BYTES), StandardCharsets.UTF_8);
      }
      return parse(text);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      setAside(name, FileFacts.reason(e));
      return Optional.empty();
    }
  }

  private Optional<List<String>> parse(String text) throws IOException {
    int end = text.indexOf('\n');
    String[] head = text.substring(0, Math.max(0, end)).split(" ");
    if (head.length != 3 || !head[0].equals(FORMAT)) {
      throw new IOException("its first line is not one of this program");
    }
    String body = text.substring(end + 1);
    if (!head[2].equals(checksum(head[1], body))) {
      throw new IOException("its checksum is wrong");
    }
    return head[1].equals(bootId) ? Optional.of(body.lines().toList()) : Optional.empty();
  }

  private static String checksum(String bootId, String body) {
    CRC32 sum = new CRC32();
    sum.update((bootId + "\n" + body).getBytes(StandardCharsets.UTF_8));
    return Long.toHexString(sum.getValue());
  }

  /**
   * Moves a file away that makes no sense, and says so.
   *
   * @param name of the file, without a folder
   * @param why what is wrong with it, for the log
   */
  public synchronized void setAside(String name, String why) {
    Path file = dir.resolve(name);
    String done;
    try {
      Path aside = dir.resolve(name + ".damaged");
      Files.move(file, aside, StandardCopyOption.REPLACE_EXISTING);
      done = "it is now " + aside;
    } catch (IOException e) {
      done = "and it cannot be set aside: " + FileFacts.reason(e);
    }
    LOG.log(System.Logger.Level.WARNING, "{0} is damaged ({1}) and not used: {2}", file, why, done);
  }

  /**
   * Replaces a file, or makes it; and locks the directory again, should its lock have been removed.
   *
   * @param name of the file, without a folder
   * @param lines without line breaks
   * @throws IOException if that fails; what was there before still is
   */
  public synchronized void write(String name, List<String> lines) throws IOException {
    StringBuilder body = new StringBuilder();
    lines.forEach(line -> body.append(line).append('\n'));
    String head = FORMAT + " " + bootId + " " + checksum(bootId, body.toString()) + "\n";
    byte[] text = (head + body).getBytes(StandardCharsets.UTF_8);
    if (text.length > MAX_BYTES) {
      throw new IOException("it would be too long to be read again");
    }
    Path temporary = dir.resolve("." + name + ".new");
    // What a process left that was killed while writing.
    Files.deleteIfExists(temporary);
    try {
      StateLock.take(realDir);
      writeAndForce(temporary, text);
      Files.move(temporary, dir.resolve(name), StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      removeAfter(e, temporary);
      throw Files.isDirectory(dir) ? e : isGone();
    }
    try (FileChannel entries = FileChannel.open(dir, StandardOpenOption.READ)) {
      entries.force(true);
    }
  }

  /**
   * Removes a file, if it is there.
   *
   * @param name of the file, without a folder
   * @throws IOException if that fails
   */
  public synchronized void remove(String name) throws IOException {
    Files.deleteIfExists(dir.resolve(name));
  }

  private IOException isGone() {
    return new FileSystemException(
        dir.toString(), null, "its directory is gone; make it again, or restart zeusd");
  }

  private static void removeAfter(IOException failure, Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  private static void writeAndForce(Path file, byte[] text) throws IOException {
    try (FileChannel channel =
        FileChannel.open(
            file, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), ONLY_OURS)) {
      ByteBuffer bytes = ByteBuffer.wrap(text);
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      channel.force(true);
    }
  }

  /** {@return where the files are} */
  public Path dir() {
    return dir;
  }
}
