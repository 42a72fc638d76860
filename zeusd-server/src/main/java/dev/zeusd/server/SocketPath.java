package dev.zeusd.server;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.Strangers;
import dev.zeusd.server.files.PathLock;
import java.io.IOException;
import java.net.BindException;
import java.net.ConnectException;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * Where a Unix socket is to be: whether that place can be trusted, and is free.
 *
 * <p>Nothing that is done by the path can be led elsewhere: on the way to its directory only
 * directories are accepted whose entries nobody else may change.
 *
 * @param path of the socket
 */
record SocketPath(Path path) {
  private static final System.Logger LOG = System.getLogger(UnixSocketFile.class.getName());

  /** How long one takes to stop, and some more: whoever comes next waits for it. */
  private static final Duration STOPPING = Duration.ofSeconds(3);

  /** A daemon that was told to stop just now still listens for a moment. */
  private static final int LOOKS_AT_A_LIVE_ONE = 10;

  private static final Duration BETWEEN_LOOKS = Duration.ofMillis(50);

  /**
   * Checks who could lead the path elsewhere.
   *
   * @throws ServerStartException if somebody could, or it cannot be the path of a socket
   */
  void requireTrusted() throws IOException {
    Path directory = path.getParent();
    if (directory == null) {
      throw new ServerStartException("socket path " + path + " is a directory");
    }
    if (path.toString().getBytes(StandardCharsets.UTF_8).length
        > Listen.UnixSocket.MAX_PATH_BYTES) {
      throw new ServerStartException(
          "socket path "
              + path
              + " is too long: a Unix socket's has at most "
              + Listen.UnixSocket.MAX_PATH_BYTES
              + " bytes");
    }
    Optional<String> stranger = Strangers.onTheWayTo(directory);
    if (stranger.isPresent()) {
      throw new ServerStartException(
          "will not listen at %s: %s, who could lead this path elsewhere; choose a --socket-path in a directory of root's, such as /run"
              .formatted(path, stranger.get()));
    }
    Path real = directory.toRealPath();
    if (!FileFacts.of(real).isSticky()) {
      Strangers.whoChangesEntries(real)
          .ifPresent(
              who ->
                  LOG.log(
                      System.Logger.Level.WARNING,
                      "{0}: clients at {1} may be talking to somebody else''s socket",
                      who,
                      path));
    }
  }

  /**
   * The lock, when the path is free to be bound at.
   *
   * @param givesUp whether to wait no longer for others
   * @throws ServerStartException if it does not become free
   */
  PathLock take(BooleanSupplier givesUp) throws IOException {
    for (int look = 1; true; look++) {
      PathLock lock =
          PathLock.take(path, STOPPING, givesUp)
              .orElseThrow(() -> refused("another zeusd is starting at "));
      boolean free = false;
      try {
        free = isFree();
        lock.requireCreatable();
        if (free) {
          return lock;
        }
      } finally {
        if (!free) {
          lock.close();
        }
      }
      if (look == LOOKS_AT_A_LIVE_ONE || givesUp.getAsBoolean()) {
        throw refused("another process is listening at ");
      }
      LockSupport.parkNanos(BETWEEN_LOOKS.toNanos());
    }
  }

  private ServerStartException refused(String why) {
    return new ServerStartException(why + path + "; stop it or choose another --socket-path");
  }

  /** Whether nothing is at the path any more; removes a stale socket. */
  private boolean isFree() throws IOException {
    FileFacts found;
    try {
      found = FileFacts.of(path);
    } catch (NoSuchFileException e) {
      return true;
    }
    if (!found.isSocket()) {
      throw new ServerStartException(
          path + " exists and is not a socket; move it away or choose another --socket-path");
    }
    try (SocketChannel probe = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      // Otherwise this would wait, maybe for ever, for a daemon that is too busy to accept.
      probe.configureBlocking(false);
      probe.connect(UnixDomainSocketAddress.of(path));
      return false;
    } catch (ConnectException e) {
      // Refused: nobody listens, the socket is a leftover and may be replaced.
      return removeStale(found);
    } catch (BindException e) {
      // What the JDK makes of a lack of permission.
      throw e;
    } catch (SocketException e) {
      // Too busy to take one more, or a socket of another kind.
      return false;
    }
  }

  private boolean removeStale(FileFacts stale) throws IOException {
    try {
      if (FileFacts.of(path).isSameFile(stale)) {
        Files.delete(path);
      }
    } catch (NoSuchFileException e) {
      // Its daemon was just stopping.
    }
    return Files.notExists(path, NOFOLLOW_LINKS);
  }
}
