package dev.zeusd.server.files;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.Strangers;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * Keeps the processes of one user from doing something to a path at the same time: a lock on a file
 * beside it, named {@code PATH.lock}, which is there only while somebody holds it.
 *
 * <p>Strangers cannot hold anybody up: a file of theirs at that name is not waited for, nor
 * touched. Then there is no lock, and one is as well off as without a stranger's like: what this
 * one keeps apart are two starts in the same instant.
 */
public final class PathLock implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(PathLock.class.getName());
  private static final Duration RETRY = Duration.ofMillis(10);

  /**
   * What this process holds, or tries to: locks of the system keep processes apart, not threads.
   */
  private static final Set<Path> HELD_HERE = ConcurrentHashMap.newKeySet();

  private final Path file;

  /** Null without a lock. */
  private FileChannel channel;

  /** Why nothing can be made in the directory, if that is so. */
  private Optional<IOException> cannotCreate = Optional.empty();

  private PathLock(Path file) {
    this.file = file;
  }

  /** Taken, held by somebody else, or of no use. */
  private enum Attempt {
    TAKEN,
    BUSY,
    IMPOSSIBLE
  }

  /**
   * Takes the lock of a path.
   *
   * @param patience how long to wait for another one who holds it
   * @param givesUp asked now and then: whether not to wait any longer
   * @return empty if somebody held it all the time
   */
  public static Optional<PathLock> take(Path path, Duration patience, BooleanSupplier givesUp) {
    PathLock lock = new PathLock(path.resolveSibling(path.getFileName() + ".lock"));
    long deadline = System.nanoTime() + patience.toNanos();
    while (lock.attempt() == Attempt.BUSY) {
      if (System.nanoTime() >= deadline || givesUp.getAsBoolean()) {
        return Optional.empty();
      }
      LockSupport.parkNanos(RETRY.toNanos());
    }
    return Optional.of(lock);
  }

  private Attempt attempt() {
    if (!HELD_HERE.add(file)) {
      return Attempt.BUSY;
    }
    Attempt attempt = Attempt.IMPOSSIBLE;
    try {
      attempt = open();
    } catch (NoSuchFileException | OverlappingFileLockException e) {
      // Removed this moment by the one who held it; or held in this process, by way of a link.
      attempt = Attempt.BUSY;
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "no lock at {0}: {1}", file, FileFacts.reason(e));
    }
    if (attempt != Attempt.TAKEN) {
      HELD_HERE.remove(file);
    }
    return attempt;
  }

  private Attempt open() throws IOException {
    try {
      Files.createFile(
          file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    } catch (FileAlreadyExistsException e) {
      // Somebody's who holds it, or a leftover, or a stranger's.
    } catch (NoSuchFileException e) {
      // The directory is there; but in some, such as /proc, there is nothing but what the kernel
      // makes.
      cannotCreate = Optional.of(new IOException("no file can be made in " + file.getParent(), e));
      throw cannotCreate.get();
    } catch (IOException e) {
      cannotCreate = Optional.of(e);
      throw e;
    }
    FileFacts before = FileFacts.of(file);
    if (!before.isRegular() || before.links() != 1 || !Strangers.isTrusted(before.uid())) {
      LOG.log(
          System.Logger.Level.WARNING,
          "{0} is not a lock of ours: it is left alone and not waited for",
          file);
      return Attempt.IMPOSSIBLE;
    }
    // For both, since a FIFO that was put there this moment would be waited at otherwise.
    FileChannel opened = FileChannel.open(file, Set.of(READ, WRITE, NOFOLLOW_LINKS));
    FileLock held = null;
    try {
      held = opened.tryLock();
      // The last one to hold it may have removed it after it was opened here. (Its number is not
      // given to another file as long as it is open.)
      if (held != null
          && Files.exists(file, NOFOLLOW_LINKS)
          && FileFacts.of(file).isSameFile(before)) {
        channel = opened;
        return Attempt.TAKEN;
      }
      return Attempt.BUSY;
    } finally {
      if (channel == null) {
        opened.close();
      }
    }
  }

  /**
   * To be asked by who wants to make something beside the lock's file.
   *
   * @throws IOException if nothing can be made there; it says why
   */
  public void requireCreatable() throws IOException {
    if (cannotCreate.isPresent()) {
      throw cannotCreate.get();
    }
  }

  /** Gives the lock back and removes its file. Idempotent. */
  @Override
  public void close() {
    if (channel == null) {
      return;
    }
    try {
      try {
        Files.deleteIfExists(file);
      } finally {
        channel.close();
      }
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "cannot remove {0}: {1}", file, FileFacts.reason(e));
    } finally {
      channel = null;
      HELD_HERE.remove(file);
    }
  }
}
