package dev.zeusd.server.audit;

import java.io.IOException;

/** What takes events; for one thread at a time, which may have to wait. */
interface AuditSink extends AutoCloseable {
  /** Opens one; may take its time, as a FIFO that nobody reads does. */
  static AuditSink open(AuditTarget target) throws IOException {
    return switch (target) {
      case AuditTarget.File file -> AuditFile.open(file.path());
      case AuditTarget.Journal journal -> AuditJournal.open(journal.socket());
    };
  }

  /**
   * Writes an event, as {@link AuditTarget#bytesOf} has it, or leaves nothing of it.
   *
   * @throws IOException if it was not taken; the same one may be tried again
   */
  void write(byte[] event) throws IOException;

  @Override
  void close();
}
