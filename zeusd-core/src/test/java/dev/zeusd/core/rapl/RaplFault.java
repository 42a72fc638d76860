package dev.zeusd.core.rapl;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What can be wrong with a counter's file. Root, too, cannot read any of these; {@link
 * RaplTree.Zone#restore} ends them all.
 */
public enum RaplFault {
  /** The file is not there. */
  VANISHED {
    @Override
    void put(Path file) {}
  },
  /** The zone is not there. */
  ZONE_VANISHED {
    @Override
    void put(Path file) {}
  },
  /** The same file, which holds nothing now. */
  EMPTY {
    @Override
    void put(Path file) throws IOException {
      Files.writeString(file, "");
    }
  },
  /** The same file, with something else in it. */
  GARBAGE {
    @Override
    void put(Path file) throws IOException {
      Files.writeString(file, "0x7f\0\n\u0001");
    }
  },
  /** A number that no counter holds. */
  TOO_LARGE {
    @Override
    void put(Path file) throws IOException {
      Files.writeString(file, "18446744073709551615\n");
    }
  },
  /** A link to nowhere. */
  DANGLING_LINK {
    @Override
    void put(Path file) throws IOException {
      Files.createSymbolicLink(file, Path.of("nowhere"));
    }
  },
  /** A link to itself. */
  LINK_LOOP {
    @Override
    void put(Path file) throws IOException {
      Files.createSymbolicLink(file, file);
    }
  },
  DIRECTORY {
    @Override
    void put(Path file) throws IOException {
      Files.createDirectory(file);
    }
  },
  /** Whoever opens it waits for a writer, who never comes. */
  FIFO {
    @Override
    void put(Path file) throws IOException {
      try {
        int status = new ProcessBuilder("mkfifo", file.toString()).inheritIO().start().waitFor();
        if (status != 0) {
          throw new IOException("mkfifo: status " + status);
        }
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
    }
  },
  /** A device that never ends. */
  DEVICE {
    @Override
    void put(Path file) throws IOException {
      Files.createSymbolicLink(file, Path.of("/dev/zero"));
    }
  },
  /** It opens, and each read fails (EIO). */
  UNREADABLE {
    @Override
    void put(Path file) throws IOException {
      Files.createSymbolicLink(file, Path.of("/proc/self/mem"));
    }
  },
  /** It does not open (EACCES): the kernel lets nobody read this one. */
  FORBIDDEN {
    @Override
    void put(Path file) throws IOException {
      Files.createSymbolicLink(file, Path.of("/sys/bus/platform/drivers_probe"));
    }
  };

  abstract void put(Path file) throws IOException;

  /** Puts this in the place of the zone's counter. */
  public void applyTo(RaplTree.Zone zone) throws IOException {
    switch (this) {
      case ZONE_VANISHED -> zone.remove();
      case EMPTY, GARBAGE, TOO_LARGE -> put(zone.energyFile());
      default -> replace(zone.energyFile());
    }
  }

  /** Puts this in the place of any file. */
  void replace(Path file) throws IOException {
    Files.deleteIfExists(file);
    put(file);
  }
}
