package dev.zeusd.server.audit;

import dev.zeusd.ffm.posix.UnixDatagramSocket;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;

/**
 * An entry of systemd's journal for each event, in its native protocol: {@code MESSAGE} in words,
 * {@code ZEUSD_AUDIT} as the line of JSON, and each fact as a field, such as {@code
 * ZEUSD_PEER_UID}.
 */
final class AuditJournal implements AuditSink {
  private final Path path;
  private UnixDatagramSocket socket;

  private AuditJournal(Path path, UnixDatagramSocket socket) {
    this.path = path;
    this.socket = socket;
  }

  static AuditJournal open(Path path) throws IOException {
    return new AuditJournal(path, UnixDatagramSocket.connect(path));
  }

  @Override
  public void write(byte[] entry) throws IOException {
    try {
      socket.send(entry);
    } catch (IOException e) {
      // A journal that was started anew has another socket at the same path.
      UnixDatagramSocket another = UnixDatagramSocket.connect(path);
      socket.close();
      socket = another;
      socket.send(entry);
    }
  }

  static byte[] entry(AuditEvent event) {
    ByteArrayOutputStream entry = new ByteArrayOutputStream();
    add(entry, "MESSAGE", event.text());
    add(entry, "PRIORITY", String.valueOf(event.level().priority()));
    add(entry, "SYSLOG_IDENTIFIER", "zeusd-audit");
    add(entry, "ZEUSD_AUDIT", event.json());
    event.forEachField(
        (name, value) -> add(entry, "ZEUSD_" + name.toUpperCase(Locale.ROOT), value));
    return entry.toByteArray();
  }

  /** With its length, where a value has more than one line. */
  private static void add(ByteArrayOutputStream entry, String name, String value) {
    byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
    entry.writeBytes(name.getBytes(StandardCharsets.US_ASCII));
    if (value.indexOf('\n') < 0) {
      entry.write('=');
    } else {
      entry.write('\n');
      entry.writeBytes(
          ByteBuffer.allocate(Long.BYTES)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(bytes.length)
              .array());
    }
    entry.writeBytes(bytes);
    entry.write('\n');
  }

  @Override
  public void close() {
    socket.close();
  }
}
