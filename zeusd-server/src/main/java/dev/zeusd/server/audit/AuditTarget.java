package dev.zeusd.server.audit;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Objects;

/** Where an audit log is kept. */
public sealed interface AuditTarget {
  /**
   * {@return an event as it is written there}
   *
   * @param event what has happened
   */
  byte[] bytesOf(AuditEvent event);

  /**
   * A file, a line of JSON for each event.
   *
   * @param path absolute; made with mode 0640 if it is not there
   */
  record File(Path path) implements AuditTarget {
    /** Makes the path absolute. */
    public File {
      path = path.toAbsolutePath();
    }

    @Override
    public byte[] bytesOf(AuditEvent event) {
      return (event.json() + "\n").getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public String toString() {
      return path.toString();
    }
  }

  /**
   * The journal of systemd, an entry with fields for each event.
   *
   * @param socket where it takes entries
   */
  record Journal(Path socket) implements AuditTarget {
    /** Where it is on every machine that has one. */
    public static final Path SOCKET = Path.of("/run/systemd/journal/socket");

    /** Refuses null. */
    public Journal {
      Objects.requireNonNull(socket);
    }

    @Override
    public byte[] bytesOf(AuditEvent event) {
      return AuditJournal.entry(event);
    }

    @Override
    public String toString() {
      return "the journal";
    }
  }
}
