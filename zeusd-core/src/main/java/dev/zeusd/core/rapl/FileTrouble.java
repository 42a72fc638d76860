package dev.zeusd.core.rapl;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;

/** Why a file cannot be used, in words. */
final class FileTrouble {
  private FileTrouble() {}

  /** The reason alone; whoever says it names the file. */
  static String reason(IOException e) {
    return switch (e) {
      case NoSuchFileException missing -> "it is not there";
      case AccessDeniedException denied -> "no permission";
      case NotDirectoryException file -> "it is not a directory";
      case FileSystemException other when other.getReason() != null -> other.getReason();
      default -> e.getMessage() == null ? "an input/output error" : e.getMessage();
    };
  }
}
