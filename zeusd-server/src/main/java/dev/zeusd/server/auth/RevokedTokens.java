package dev.zeusd.server.auth;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.OrdinaryFile;
import dev.zeusd.ffm.posix.Strangers;
import dev.zeusd.server.ServerStartException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The file of revoked tokens: an id a line, as {@link TokenText#id} has it; what follows a {@code
 * #} is for people.
 */
public final class RevokedTokens {
  private static final System.Logger LOG = System.getLogger(RevokedTokens.class.getName());

  /** Of a hundred thousand tokens. */
  private static final int MAX_BYTES = 16 << 20;

  private static final int LONGEST_SHOWN = 100;

  private RevokedTokens() {}

  /**
   * Reads it, and warns when others could change it, or its last line may have been cut.
   *
   * @param file which has one id in each line
   * @return the ids
   * @throws ServerStartException if it cannot be read, is a link to nothing, or a line makes no
   *     sense; a file that is not there at all has none
   */
  public static Set<String> read(Path file) {
    return load(file).ids;
  }

  /**
   * What is in the file.
   *
   * @param isCut whether its last line has no end
   */
  private record Content(Set<String> ids, boolean isCut) {}

  private static Content load(Path file) {
    try {
      byte[] bytes = OrdinaryFile.read(file, MAX_BYTES);
      stranger(file)
          .ifPresent(
              who ->
                  LOG.log(
                      System.Logger.Level.WARNING,
                      "REVOKED TOKENS " + file + " CAN BE CHANGED BY OTHERS: " + who));
      boolean isCut = bytes.length > 0 && bytes[bytes.length - 1] != '\n';
      if (isCut) {
        LOG.log(
            System.Logger.Level.WARNING,
            "the last line of "
                + file
                + " has no end: if it was cut while it was written, its token is still taken; see"
                + " that the id is whole, and end the line");
      }
      return new Content(ids(file, new String(bytes, StandardCharsets.UTF_8)), isCut);
    } catch (NoSuchFileException e) {
      if (Files.isSymbolicLink(file)) {
        throw new ServerStartException(
            "revoked tokens "
                + file
                + " is a symbolic link to something that does not exist; make that file, or remove"
                + " the link",
            e);
      }
      return new Content(Set.of(), false);
    } catch (IOException e) {
      throw new ServerStartException(
          "revoked tokens "
              + file
              + " cannot be read: "
              + FileFacts.reason(e)
              + "; name an ordinary file",
          e);
    }
  }

  private static Set<String> ids(Path file, String text) {
    List<String> lines = text.lines().toList();
    Set<String> ids = new HashSet<>();
    for (int i = 0; i < lines.size(); i++) {
      String id = lines.get(i).replaceFirst("#.*", "").strip();
      if (!id.isEmpty() && !TokenText.isId(id)) {
        throw new ServerStartException(
            file
                + ":"
                + (i + 1)
                + ": '"
                + shortened(id)
                + "' is not the id of a token; zeusd token show tells a token's");
      }
      if (!id.isEmpty()) {
        ids.add(id);
      }
    }
    return ids;
  }

  private static String shortened(String text) {
    return text.length() > LONGEST_SHOWN ? text.substring(0, LONGEST_SHOWN) + "..." : text;
  }

  private static Optional<String> stranger(Path file) throws IOException {
    FileFacts facts = FileFacts.ofTarget(file);
    return Strangers.mayWrite(facts) || !Strangers.isTrusted(facts.uid())
        ? Optional.of("run: chown root " + file + " && chmod 644 " + file)
        : Strangers.whoReplaces(file.toAbsolutePath());
  }

  /**
   * Adds an id, if need be.
   *
   * @param file which has one id in each line; made if need be
   * @param id the token's {@code jti}
   * @param comment for people
   * @return whether it is new
   * @throws ServerStartException if that cannot be done
   */
  public static boolean add(Path file, String id, String comment) {
    if (!TokenText.isId(id)) {
      throw new ServerStartException("'" + id + "' is not the id of a token, check it");
    }
    Content content = load(file);
    if (content.ids.contains(id)) {
      return false;
    }
    String oneLine = comment.replaceAll("[\\p{Cntrl}\\p{Zl}\\p{Zp}]", " ");
    // An editor may have left the end of the last line out.
    String start = content.isCut ? "\n" : "";
    byte[] line = (start + id + " # " + oneLine + "\n").getBytes(StandardCharsets.UTF_8);
    try (FileChannel channel =
        FileChannel.open(
            file,
            Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r--r--")))) {
      // In one go: a daemon may read it this moment.
      channel.write(ByteBuffer.wrap(line));
      channel.force(true);
      return true;
    } catch (IOException e) {
      throw new ServerStartException(
          "revoked tokens "
              + file
              + " cannot be written: "
              + FileFacts.reason(e)
              + "; run it as root, or name another --revoked-tokens",
          e);
    }
  }
}
