package dev.zeusd.core;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * The lock of a {@link StateDirectory}, which this process has for as long as it runs.
 *
 * @param channel of its file, which gives the lock back when it is closed
 * @param key which file that is, so that another one in its place is noticed
 */
record StateLock(FileChannel channel, Object key) {
  private static final String FILE = ".lock";

  /** How long to wait for a process that is about to end. */
  private static final Duration PATIENCE = Duration.ofMillis(300);

  private static final long RETRY_MILLIS = 20;

  /** Those of this process, by the real path of the directory. */
  private static final Map<Path, StateLock> HELD = new HashMap<>();

  /**
   * Takes that of a directory, unless this process has it.
   *
   * @param dir its real path
   * @throws IOException if another process has it
   */
  static void take(Path dir) throws IOException {
    Path file = dir.resolve(FILE);
    synchronized (HELD) {
      StateLock known = HELD.get(dir);
      if (known != null && known.isStillOf(file)) {
        return;
      }
      refuseOther(file);
      FileChannel channel =
          FileChannel.open(
              file,
              Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, NOFOLLOW_LINKS),
              StateDirectory.ONLY_OURS);
      try {
        await(channel);
        HELD.put(dir, new StateLock(channel, StateDirectory.facts(file).fileKey()));
      } catch (IOException | RuntimeException e) {
        channel.close();
        throw e;
      }
      if (known != null) {
        // Of a file that is gone. Any closing of one that is there would give its lock back.
        known.channel.close();
      }
    }
  }

  /** What is no file is not opened: to open a FIFO waits for a reader, maybe for ever. */
  private static void refuseOther(Path file) throws IOException {
    if (Files.exists(file, NOFOLLOW_LINKS) && !Files.isRegularFile(file, NOFOLLOW_LINKS)) {
      throw new IOException(file + " is not a file of this program; remove it");
    }
  }

  private static void await(FileChannel channel) throws IOException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (channel.tryLock() == null) {
      if (System.nanoTime() > deadline) {
        throw new IOException("another process uses it");
      }
      try {
        Thread.sleep(RETRY_MILLIS);
      } catch (InterruptedException e) {
        throw new InterruptedIOException("interrupted");
      }
    }
  }

  /** Whether this process has that of a directory: somebody may have removed its file. */
  static boolean isHeld(Path dir) {
    synchronized (HELD) {
      StateLock known = HELD.get(dir);
      return known != null && known.isStillOf(dir.resolve(FILE));
    }
  }

  private boolean isStillOf(Path file) {
    try {
      return key.equals(StateDirectory.facts(file).fileKey());
    } catch (IOException e) {
      return false;
    }
  }
}
