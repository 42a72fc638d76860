package dev.zeusd.ffm.posix;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/**
 * What the system says of a file.
 *
 * @param mode type and permissions, as {@code st_mode}
 * @param uid its owner, as the signed number that the JDK makes of it
 * @param gid its group, in the same way
 * @param links how many names it has
 * @param dev the file system it is on; with {@code ino} it is this file and no other
 * @param ino its number there
 */
public record FileFacts(int mode, int uid, int gid, int links, long dev, long ino) {
  private static final String NOT_A_DIRECTORY = "a part of the path is not a directory";
  private static final String LOOP = "its symbolic links lead in a circle";
  private static final int TYPE = 0170000;
  private static final int SOCKET = 0140000;
  private static final int LINK = 0120000;
  private static final int REGULAR = 0100000;
  private static final int DIRECTORY = 0040000;
  private static final int STICKY = 01000;
  private static final int PERMISSIONS = 0777;
  private static final int GROUP_WRITE = 0020;
  private static final int OTHERS_WRITE = 0002;

  /** Of what is at the path itself, a symbolic link included. */
  public static FileFacts of(Path path) throws IOException {
    return read(path, NOFOLLOW_LINKS);
  }

  /** Of what a symbolic link at the path leads to, if there is one. */
  public static FileFacts ofTarget(Path path) throws IOException {
    return read(path);
  }

  private static FileFacts read(Path path, LinkOption... options) throws IOException {
    Map<String, Object> facts =
        Files.readAttributes(path, "unix:mode,uid,gid,nlink,dev,ino", options);
    return new FileFacts(
        (Integer) facts.get("mode"),
        (Integer) facts.get("uid"),
        (Integer) facts.get("gid"),
        (Integer) facts.get("nlink"),
        (Long) facts.get("dev"),
        (Long) facts.get("ino"));
  }

  /** Whether both are of one file. */
  public boolean isSameFile(FileFacts other) {
    return dev == other.dev && ino == other.ino;
  }

  /** Whether it is a Unix socket. */
  public boolean isSocket() {
    return (mode & TYPE) == SOCKET;
  }

  /** Whether it is a symbolic link; that is only seen of one that was not followed. */
  public boolean isLink() {
    return (mode & TYPE) == LINK;
  }

  /** Whether it is a plain file, and no FIFO, device or the like. */
  public boolean isRegular() {
    return (mode & TYPE) == REGULAR;
  }

  /** Whether it is a directory. */
  public boolean isDirectory() {
    return (mode & TYPE) == DIRECTORY;
  }

  /** Whether, in this directory, only the owner of a file may remove it. */
  public boolean isSticky() {
    return (mode & STICKY) != 0;
  }

  /** The lower nine bits of the mode. */
  public int permissions() {
    return mode & PERMISSIONS;
  }

  /** Whether its group may write to it. */
  public boolean groupMayWrite() {
    return (mode & GROUP_WRITE) != 0;
  }

  /** Whether everybody may write to it. */
  public boolean othersMayWrite() {
    return (mode & OTHERS_WRITE) != 0;
  }

  /** Why something could not be done to a file, in words and without its name. */
  public static String reason(IOException e) {
    return switch (e) {
      case NoSuchFileException missing -> "it does not exist";
      case AccessDeniedException denied -> "permission denied";
      case NotDirectoryException not -> NOT_A_DIRECTORY;
      case FileAlreadyExistsException exists -> "something else is there";
      case FileSystemLoopException loop -> LOOP;
      case ClosedByInterruptException interrupted -> "the thread at it was interrupted";
      case FileSystemException other when other.getReason() != null -> inWords(other.getReason());
      default -> e.getMessage() == null ? "it cannot be read or written" : inWords(e.getMessage());
    };
  }

  /** What the JDK has no class for. */
  private static String inWords(String reason) {
    if (reason.startsWith("Not a directory")) {
      return NOT_A_DIRECTORY;
    }
    return switch (reason) {
      case "No space left on device" -> "the disk is full";
      case "Disk quota exceeded" -> "the quota of its disk is used up";
      case "Read-only file system" -> "its file system is read-only";
      case "Input/output error" -> "its disk fails (input/output error)";
      case "Too many open files" -> "this process has too many files open";
      default -> reason.startsWith("Too many levels of symbolic links") ? LOOP : lowerFirst(reason);
    };
  }

  private static String lowerFirst(String text) {
    return text.isEmpty()
        ? text
        : text.substring(0, 1).toLowerCase(Locale.ROOT) + text.substring(1);
  }
}
