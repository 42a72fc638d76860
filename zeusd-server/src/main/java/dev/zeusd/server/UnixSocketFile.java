package dev.zeusd.server;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.PathHandle;
import dev.zeusd.ffm.posix.Strangers;
import dev.zeusd.ffm.posix.Umask;
import dev.zeusd.server.files.PathLock;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/**
 * The file of a Unix socket. It is bound at its path, so that the system shows it there, and has
 * from the first moment no more permissions than asked for, by the umask.
 *
 * <p>The directory may be anybody's, see {@link SocketPath}; so owner and mode are given to what is
 * in hand, not to what the path names then.
 *
 * <p>Two that start at the same path are kept apart by a lock, and so are one that stops and the
 * next one.
 */
final class UnixSocketFile {
  private static final int ALL_PERMISSIONS = 0777;
  private static final int OWNER_PERMISSIONS = 0700;

  /** What a stopping one may wait for one that starts; after that, it is about time to go. */
  private static final Duration STOP_PATIENCE = Duration.ofMillis(400);

  private final Listen.UnixSocket config;
  private final Path path;
  private final Runnable stop;
  private final Runnable abandon;
  private boolean closed;

  /** An interrupted start no longer waits for others. */
  private volatile boolean givesUp;

  /** Of the bound socket; empty before and after. */
  private Optional<FileFacts> bound = Optional.empty();

  private UnixSocketFile(Listen.UnixSocket config, Runnable stop, Runnable abandon) {
    this.config = config;
    this.path = config.path();
    this.stop = stop;
    this.abandon = abandon;
  }

  /**
   * Has a server bound and listening at the path.
   *
   * @param start binds a Unix socket at the path, and listens
   * @param stop ends that, and removes whatever is at the path then
   * @param abandon ends as much of it as can be without touching what is at the path
   * @throws ServerStartException if the path is not free and not a stale socket's, or cannot be
   *     bound at; names the path
   */
  static UnixSocketFile bind(
      Listen.UnixSocket config, Runnable start, Runnable stop, Runnable abandon) {
    UnixSocketFile file = new UnixSocketFile(config, stop, abandon);
    file.undisturbed(() -> file.bindLocked(start));
    return file;
  }

  private void bindLocked(Runnable start) {
    try {
      SocketPath place = new SocketPath(path);
      place.requireTrusted();
      PathLock lock = place.take(() -> givesUp);
      try {
        bindAndSettle(start);
      } finally {
        lock.close();
      }
    } catch (IOException e) {
      throw new ServerStartException(
          "cannot listen at "
              + path
              + ": "
              + FileFacts.reason(e)
              + "; choose another --socket-path",
          e);
    }
  }

  /**
   * Runs a step on a thread of its own: an interrupt closes the file that the interrupted thread is
   * at, and would leave things half done. So it does nothing but end a wait for others.
   */
  private void undisturbed(Runnable step) {
    CompletableFuture<Void> done =
        CompletableFuture.runAsync(
            step, task -> Thread.ofPlatform().name("unix socket").start(task));
    boolean interrupted = false;
    try {
      while (true) {
        try {
          done.get();
          return;
        } catch (InterruptedException e) {
          interrupted = true;
          givesUp = true;
        } catch (ExecutionException e) {
          if (e.getCause() instanceof RuntimeException unchecked) {
            throw unchecked;
          }
          throw new IllegalStateException(e.getCause());
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void bindAndSettle(Runnable start) throws IOException {
    boolean hasOwner = config.uid().isPresent() || config.gid().isPresent();
    if (!Umask.link()) {
      throw new ServerStartException(
          "cannot listen at "
              + path
              + ": Java may not call libc; run it with --enable-native-access=ALL-UNNAMED");
    }
    // As long as it is still ours, nobody else's. (Not nothing at all: what another thread makes in
    // this moment should be of use to it.)
    int first = config.permissions() & (hasOwner ? OWNER_PERMISSIONS : ALL_PERMISSIONS);
    Umask.runWith(ALL_PERMISSIONS & ~first, start);
    try {
      bound = Optional.of(FileFacts.of(path));
      // An access control list of the directory may have taken more than the umask.
      if (hasOwner || bound.get().permissions() != config.permissions()) {
        settle();
      }
    } catch (IOException | RuntimeException e) {
      end();
      throw e;
    }
  }

  /** Gives the socket its owner and, after that, since chown may take some of it away, its mode. */
  private void settle() throws IOException {
    try (PathHandle handle = PathHandle.open(path)) {
      FileFacts socket = FileFacts.ofTarget(handle.path());
      if (!socket.isSocket() || socket.links() != 1 || !Strangers.isTrusted(socket.uid())) {
        throw new ServerStartException(
            "somebody has put something else at "
                + path
                + " this moment; choose another --socket-path");
      }
      bound = Optional.of(socket);
      if (config.uid().isPresent()) {
        Files.setAttribute(handle.path(), "unix:uid", config.uid().getAsInt());
      }
      if (config.gid().isPresent()) {
        Files.setAttribute(handle.path(), "unix:gid", config.gid().getAsInt());
      }
      Files.setAttribute(handle.path(), "unix:mode", config.permissions());
    } catch (FileSystemException e) {
      throw new ServerStartException(
          "cannot give the socket %s its owner: %s; that needs root (CAP_CHOWN), or leave out --socket-uid and --socket-gid"
              .formatted(path, FileFacts.reason(e)),
          e);
    }
  }

  /** Stops the server and removes the file, unless somebody else has put another one there. */
  synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    undisturbed(
        () -> {
          // Whoever starts here meanwhile waits, and does not lose its file to this one's removing.
          Optional<PathLock> lock = PathLock.take(path, STOP_PATIENCE, () -> false);
          try {
            end();
          } finally {
            lock.ifPresent(PathLock::close);
          }
        });
  }

  private void end() {
    if (isReplaced()) {
      abandon.run();
    } else {
      stop.run();
    }
  }

  private boolean isReplaced() {
    try {
      FileFacts found = FileFacts.of(path);
      return bound.isEmpty() || !found.isSameFile(bound.get());
    } catch (IOException e) {
      // Nothing there, or nothing that could be removed.
      return false;
    }
  }
}
