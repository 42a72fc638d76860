package dev.zeusd.server.auth;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.server.ServerStartException;
import dev.zeusd.server.files.Strangers;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The file of a signing key: reads it, and looks who else could. */
final class KeyFile {
  private static final System.Logger LOG = System.getLogger(KeyFile.class.getName());

  /** RFC 7518, 3.2: a key for HS256 is at least as long as the hash. */
  private static final int MIN_BYTES = 32;

  /** Far more than any key has: whoever names a longer file has taken another one for it. */
  private static final int MAX_BYTES = 64 * 1024;

  /** A file of this size is read in a millisecond, and over a busy network in some more. */
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private static final int READABLE_BY_OTHERS = 0044;
  private static final int WRITABLE_BY_OTHERS = 0022;

  private final Path file;

  KeyFile(Path file) {
    this.file = file;
  }

  /**
   * The file's bytes, as they are; warns when others could read them or put others in their place.
   *
   * @throws ServerStartException for a file that cannot be read or can be no key
   */
  byte[] read() {
    FutureTask<byte[]> reading = new FutureTask<>(this::readNow);
    // On a thread of its own: some regular files keep their reader waiting for ever, such as
    // /proc/kmsg, and so does a file system whose server is away.
    Thread.ofPlatform().daemon().name("signing key").start(reading);
    try {
      return reading.get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      throw refused(
          "cannot be read: it has kept its reader waiting for %d s; copy the key into an ordinary file on a local disk"
              .formatted(PATIENCE.toSeconds()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw refused("was not read: interrupted; run zeusd again");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof ServerStartException refusal) {
        throw refusal;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  private byte[] readNow() {
    try {
      FileFacts facts = FileFacts.ofTarget(file);
      if (!facts.isRegular()) {
        // Not even opened: a FIFO would keep us waiting, and a device may take it as a command.
        throw refused(
            facts.isDirectory()
                ? "is a directory; name a file in it"
                : "is not a regular file (a FIFO, socket or device); copy the key into one");
      }
      byte[] key = bytes();
      if (key.length > MAX_BYTES) {
        throw refused(
            "has more than %d bytes, so it can be no key; is it another file?"
                .formatted(MAX_BYTES));
      }
      if (key.length < MIN_BYTES) {
        throw refused(
            "has %d bytes, needs at least %d; make one with: openssl rand -base64 32"
                .formatted(key.length, MIN_BYTES));
      }
      warnings(facts).forEach(what -> LOG.log(System.Logger.Level.WARNING, what));
      return key;
    } catch (NoSuchFileException e) {
      throw refused(
          Files.isSymbolicLink(file)
              ? "is a symbolic link to something that does not exist; name the key itself"
              : "does not exist; make one with: openssl rand -base64 32",
          e);
    } catch (AccessDeniedException e) {
      throw refused(
          "cannot be read: permission denied; run zeusd as a user who may read it, or change its"
              + " mode or that of a folder above it",
          e);
    } catch (IOException e) {
      throw refused("cannot be read: " + FileFacts.reason(e) + "; check the path", e);
    }
  }

  private byte[] bytes() throws IOException {
    // Not by its size: that of some files says nothing.
    try (InputStream in = Files.newInputStream(file)) {
      return in.readNBytes(MAX_BYTES + 1);
    }
  }

  private ServerStartException refused(String why) {
    return new ServerStartException("signing key " + file + " " + why);
  }

  private ServerStartException refused(String why, IOException e) {
    return new ServerStartException("signing key " + file + " " + why, e);
  }

  private List<String> warnings(FileFacts facts) throws IOException {
    List<String> warnings = new ArrayList<>();
    Path target = file.toRealPath();
    boolean readable = (facts.permissions() & READABLE_BY_OTHERS) != 0;
    boolean writable = (facts.permissions() & WRITABLE_BY_OTHERS) != 0;
    if (readable || writable) {
      String what = readable ? writable ? "READ AND WRITTEN" : "READ" : "WRITTEN";
      warnings.add(
          "SIGNING KEY "
              + file
              + " CAN BE "
              + what
              + " BY OTHERS, who can make tokens for everything with it; run: chmod 600 "
              + file);
    }
    if (!Strangers.isTrusted(facts.uid())) {
      warnings.add(
          "SIGNING KEY %s BELONGS TO ANOTHER USER (%s), who can make tokens for everything with it; run: chown root %s"
              .formatted(file, Strangers.user(target), file));
    }
    Optional<String> stranger = Strangers.whoReplaces(file.toAbsolutePath());
    if (stranger.isPresent() && Strangers.isTrusted(facts.uid())) {
      warnings.add(
          "SIGNING KEY %s CAN BE REPLACED BY OTHERS: %s; keep it in a folder that only root or the daemon's user may write to, such as /etc/zeusd"
              .formatted(file, stranger.get()));
    }
    return warnings;
  }
}
