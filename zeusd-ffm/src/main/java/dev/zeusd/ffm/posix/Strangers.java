package dev.zeusd.ffm.posix;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/**
 * Who, besides the process's own user and root, could put something else in the place of a file or
 * of a directory. What nobody could, can be named by its path as often as one likes.
 */
public final class Strangers {
  private static final int MAX_LINKS = 40;

  private Strangers() {}

  /** Says, on the way to a file, how a stranger could lead it elsewhere. */
  private static final class Walk {
    private final boolean createMissing;
    private final Deque<Path> rest = new ArrayDeque<>();
    private Path current;
    private int links;

    Walk(Path absolute, boolean createMissing) {
      this.createMissing = createMissing;
      current = absolute.getRoot();
      push(absolute);
    }

    private void push(Path names) {
      for (int i = names.getNameCount() - 1; i >= 0; i--) {
        rest.push(names.getName(i));
      }
    }

    /** Goes on until the end, or until a step that a stranger could turn. */
    Optional<String> run() throws IOException {
      while (!rest.isEmpty()) {
        Path name = rest.pop();
        if (name.toString().equals("..")) {
          current = current.getParent() == null ? current : current.getParent();
        } else if (!name.toString().equals(".") && !name.toString().isEmpty()) {
          Optional<String> stranger = step(current.resolve(name));
          if (stranger.isPresent()) {
            return stranger;
          }
        }
      }
      return Optional.empty();
    }

    private Optional<String> step(Path entry) throws IOException {
      FileFacts directory = FileFacts.of(current);
      if (!directory.isDirectory()) {
        throw new NotDirectoryException(current.toString());
      }
      Optional<String> stranger = whoChangesEntries(current, directory);
      boolean sticky = directory.isSticky() && isTrusted(directory.uid());
      if (stranger.isPresent() && !sticky) {
        return stranger;
      }
      FileFacts facts = factsOf(entry);
      if (stranger.isPresent() && !isTrusted(facts.uid())) {
        return Optional.of(entry + " belongs to " + user(entry));
      }
      if (facts.isLink()) {
        follow(Files.readSymbolicLink(entry), entry);
      } else {
        current = entry;
      }
      return Optional.empty();
    }

    private FileFacts factsOf(Path entry) throws IOException {
      try {
        return FileFacts.of(entry);
      } catch (NoSuchFileException e) {
        if (!createMissing) {
          throw e;
        }
        try {
          Files.createDirectory(
              entry,
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
        } catch (FileAlreadyExistsException since) {
          // By somebody who had the same thought.
        }
        return FileFacts.of(entry);
      }
    }

    private void follow(Path target, Path link) throws IOException {
      links++;
      if (links > MAX_LINKS) {
        throw new FileSystemLoopException(link.toString());
      }
      if (target.isAbsolute()) {
        current = target.getRoot();
      }
      push(target);
    }
  }

  /**
   * Makes the directories of a path that are missing, and says who could lead the path elsewhere,
   * as in "/home/alice belongs to user alice"; nobody, if empty. What strangers may do <em>in</em>
   * the last directory does not count.
   *
   * @param directory absolute
   */
  public static Optional<String> onTheWayTo(Path directory) throws IOException {
    return new Walk(directory, true).run();
  }

  /**
   * Says who could put another file at a path: by way of its directory, or of one above. Nobody, if
   * empty.
   *
   * @param file absolute
   */
  public static Optional<String> whoReplaces(Path file) throws IOException {
    return new Walk(file, false).run();
  }

  /** Says who may make and remove files in a directory; nobody else, if empty. */
  public static Optional<String> whoChangesEntries(Path directory) throws IOException {
    return whoChangesEntries(directory, FileFacts.ofTarget(directory));
  }

  private static Optional<String> whoChangesEntries(Path directory, FileFacts facts)
      throws IOException {
    if (!isTrusted(facts.uid())) {
      return Optional.of(directory + " belongs to " + user(directory));
    }
    if (mayWrite(facts)) {
      String who = facts.othersMayWrite() ? "everybody" : "group " + group(directory);
      return Optional.of(who + " may write to " + directory);
    }
    return Optional.empty();
  }

  /**
   * Says who could change what is in a file, as in "/opt/x belongs to user alice"; nobody else, if
   * empty.
   *
   * @param file is followed if it is a link
   */
  public static Optional<String> whoWrites(Path file) throws IOException {
    FileFacts facts = FileFacts.ofTarget(file);
    if (!isTrusted(facts.uid())) {
      return Optional.of(file + " belongs to " + user(file.toRealPath()));
    }
    return mayWrite(facts)
        ? Optional.of(file + " can be written by others; run: chmod go-w " + file)
        : Optional.empty();
  }

  /** Whether a file's mode lets somebody write to it who is neither trusted nor its owner. */
  public static boolean mayWrite(FileFacts facts) {
    return facts.othersMayWrite() || facts.groupMayWrite() && !isTrustedGroup(facts.gid());
  }

  /** Whether a user is root, or the one that this process runs as. */
  public static boolean isTrusted(int uid) {
    return uid == 0 || uid == Self.UID || uid == Self.UNMAPPED_UID && Self.HAS_UNMAPPED_USERS;
  }

  /** The same of a group. */
  private static boolean isTrustedGroup(int gid) {
    return gid == 0 || gid == Self.GID;
  }

  /** Whose file it is, as in "user alice". */
  public static String user(Path file) throws IOException {
    return "user " + Files.getOwner(file, NOFOLLOW_LINKS);
  }

  /** The name of a file's group. */
  public static String group(Path file) throws IOException {
    return Files.getAttribute(file, "posix:group", NOFOLLOW_LINKS).toString();
  }

  /** Who this process is. */
  private static final class Self {
    /** What the kernel shows of users that a user namespace has no number for. */
    static final int UNMAPPED_UID = 65534;

    static final int UID;
    static final int GID;
    static final boolean HAS_UNMAPPED_USERS;

    static {
      int uid = -1;
      int gid = -1;
      boolean unmapped = false;
      try {
        uid = ThisProcess.effectiveUid();
        gid = ThisProcess.effectiveGid();
        // In a container without root, the machine's root has no number.
        String map = Files.readString(Path.of("/proc/self/uid_map")).strip();
        unmapped = !map.endsWith(" 4294967295");
      } catch (IOException e) {
        // Without /proc: then nobody but root is trusted.
      }
      UID = uid;
      GID = gid;
      HAS_UNMAPPED_USERS = unmapped;
    }
  }
}
