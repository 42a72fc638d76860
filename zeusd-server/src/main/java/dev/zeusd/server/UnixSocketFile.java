package dev.zeusd.server;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.channels.SocketChannel;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The file of a Unix socket, which appears at its path only when it is ready: bound, with its mode
 * and its owner.
 *
 * <p>The server binds inside a directory that nobody else can enter, and the file is renamed from
 * there. A lock file beside the path is held meanwhile, because the rename would silently take over
 * the path of a daemon that starts at the same time.
 */
final class UnixSocketFile implements AutoCloseable {
  private static final int MODE_TYPE_MASK = 0170000;
  private static final int MODE_SOCKET = 0140000;

  /** {@code sun_path} of Linux has 108 bytes, of which the JDK uses two less. */
  private static final int MAX_PATH_BYTES = 106;

  /** Five digits to the base of 36. */
  private static final int BIND_DIRECTORIES = 36 * 36 * 36 * 36 * 36;

  private final Listen.UnixSocket config;
  private final FileChannel lock;
  private final Path bindDirectory;
  private String published = "";

  private UnixSocketFile(Listen.UnixSocket config, FileChannel lock, Path bindDirectory) {
    this.config = config;
    this.lock = lock;
    this.bindDirectory = bindDirectory;
  }

  /**
   * Checks that the path is free or holds only a stale socket, and makes the place to bind at.
   *
   * @throws ServerStartException if not, naming the path
   */
  static UnixSocketFile prepare(Listen.UnixSocket config) {
    Path path = config.path();
    Path parent = path.getParent();
    try {
      if (parent == null) {
        throw new ServerStartException("socket path " + path + " is a directory");
      }
      Files.createDirectories(parent);
      Path lockPath = path.resolveSibling(path.getFileName() + ".lock");
      if (Files.isSymbolicLink(lockPath)) {
        throw new ServerStartException(
            lockPath + " is a symbolic link; remove it or choose another --socket-path");
      }
      FileChannel lock =
          FileChannel.open(
              lockPath,
              Set.of(CREATE, WRITE, NOFOLLOW_LINKS),
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
      try {
        if (lock.tryLock() == null) {
          throw new ServerStartException("another zeusd is starting at " + path);
        }
        refuseUnlessFreeOrStale(path);
        return new UnixSocketFile(config, lock, makeBindDirectory(path));
      } catch (OverlappingFileLockException e) {
        throw new ServerStartException("another zeusd is starting at " + path, e);
      } catch (IOException | RuntimeException e) {
        lock.close();
        throw e;
      }
    } catch (IOException e) {
      throw new ServerStartException(
          "cannot listen at " + path + ": " + reason(e) + "; choose another --socket-path", e);
    }
  }

  private static void refuseUnlessFreeOrStale(Path path) throws IOException {
    int mode;
    try {
      mode = (Integer) Files.getAttribute(path, "unix:mode", NOFOLLOW_LINKS);
    } catch (NoSuchFileException e) {
      return;
    }
    if ((mode & MODE_TYPE_MASK) != MODE_SOCKET) {
      throw new ServerStartException(
          path + " exists and is not a socket; move it away or choose another --socket-path");
    }
    try (SocketChannel probe = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      // Otherwise this would wait, maybe for ever, for a daemon that is too busy to accept.
      probe.configureBlocking(false);
      probe.connect(UnixDomainSocketAddress.of(path));
    } catch (ConnectException e) {
      // Refused: nobody listens, the socket is a leftover and may be replaced.
      return;
    }
    throw new ServerStartException(
        "another process is listening at " + path + "; stop it or choose another --socket-path");
  }

  /**
   * The directory to bind in, named after the socket. So one that a killed daemon left behind is
   * found here, under the lock that keeps all others of this socket away, and replaced.
   */
  private static Path makeBindDirectory(Path path) throws IOException {
    int number = Math.floorMod(path.getFileName().toString().hashCode(), BIND_DIRECTORIES);
    while (true) {
      // A short name: the path to bind at has to fit into sun_path, too.
      Path directory = path.resolveSibling(".z" + Integer.toString(number, 36));
      try {
        removeLeftover(directory);
        return Files.createDirectory(
            directory,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      } catch (FileAlreadyExistsException | DirectoryNotEmptyException e) {
        // Somebody else's: another name.
        number = ThreadLocalRandom.current().nextInt(BIND_DIRECTORIES);
      }
    }
  }

  private static void removeLeftover(Path directory) throws IOException {
    if (Files.isDirectory(directory, NOFOLLOW_LINKS)
        && Files.getAttribute(directory, "unix:uid", NOFOLLOW_LINKS)
            .equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"))) {
      Files.deleteIfExists(directory.resolve("s"));
      Files.delete(directory);
    }
  }

  /** Where to bind; the path of the socket until {@link #publish}. */
  Path bindPath() {
    Path bindPath = bindDirectory.resolve("s");
    int length = Math.max(bytes(bindPath), bytes(config.path()));
    if (length > MAX_PATH_BYTES) {
      throw new ServerStartException(
          "socket path " + config.path() + " is too long: Unix sockets allow about 100 bytes");
    }
    return bindPath;
  }

  private static int bytes(Path path) {
    return path.toString().getBytes(java.nio.charset.StandardCharsets.UTF_8).length;
  }

  /** Gives the bound socket its owner and mode, and moves it to its path in one step. */
  void publish() {
    Path bound = bindPath();
    try {
      if (config.uid().isPresent()) {
        Files.setAttribute(bound, "unix:uid", config.uid().getAsInt());
      }
      if (config.gid().isPresent()) {
        Files.setAttribute(bound, "unix:gid", config.gid().getAsInt());
      }
      // After the owner: chown may take bits away.
      Files.setAttribute(bound, "unix:mode", config.permissions());
      published = identity(bound);
      Files.move(bound, config.path(), StandardCopyOption.ATOMIC_MOVE);
      Files.delete(bindDirectory);
      lock.close();
    } catch (IOException e) {
      throw new ServerStartException(
          "cannot set up the socket " + config.path() + ": " + reason(e), e);
    }
  }

  private static String identity(Path file) throws IOException {
    return Files.getAttribute(file, "unix:dev", NOFOLLOW_LINKS)
        + ":"
        + Files.getAttribute(file, "unix:ino", NOFOLLOW_LINKS);
  }

  private static String reason(IOException e) {
    String what =
        switch (e) {
          case java.nio.file.AccessDeniedException denied -> "permission denied";
          case FileAlreadyExistsException exists -> "a part of the path is not a directory";
          default -> String.valueOf(e.getMessage());
        };
    return e instanceof java.nio.file.FileSystemException file
        ? what + " (" + file.getFile() + ")"
        : what;
  }

  /** Removes the file, unless somebody else has put another one at the path. Idempotent. */
  @Override
  public void close() {
    try {
      lock.close();
      Files.deleteIfExists(bindDirectory.resolve("s"));
      Files.deleteIfExists(bindDirectory);
      if (!published.isEmpty() && published.equals(identity(config.path()))) {
        Files.delete(config.path());
      }
    } catch (NoSuchFileException e) {
      // Gone already.
    } catch (IOException e) {
      System.getLogger(UnixSocketFile.class.getName())
          .log(
              System.Logger.Level.WARNING,
              "cannot remove the socket {0}: {1}",
              config.path(),
              e.getMessage());
    }
  }
}
