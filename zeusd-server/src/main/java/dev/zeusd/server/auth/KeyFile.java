package dev.zeusd.server.auth;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.OrdinaryFile;
import dev.zeusd.ffm.posix.Strangers;
import dev.zeusd.server.ServerStartException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The file of a signing key: reads it, and looks who else could. */
final class KeyFile {
  private static final System.Logger LOG = System.getLogger(KeyFile.class.getName());

  /** RFC 7518, 3.2: a key for HS256 is at least as long as the hash. */
  private static final int MIN_BYTES = 32;

  /** Far more than any key has: whoever names a longer file has taken another one for it. */
  private static final int MAX_BYTES = 64 * 1024;

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
    try {
      byte[] key = OrdinaryFile.read(file, MAX_BYTES);
      if (key.length < MIN_BYTES) {
        throw refused(
            "has %d bytes, needs at least %d; make one with: openssl rand -base64 32"
                .formatted(key.length, MIN_BYTES));
      }
      warnings(FileFacts.ofTarget(file))
          .forEach(what -> LOG.log(System.Logger.Level.WARNING, what));
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
      throw refused(
          "cannot be used: " + FileFacts.reason(e) + "; name an ordinary file that holds the key",
          e);
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
