package dev.zeusd.server.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.TestLog;
import dev.zeusd.server.ServerStartException;
import dev.zeusd.server.audit.AuditEvent.Level;
import jakarta.json.Json;
import jakarta.json.JsonObject;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The log itself: real files, a disk that is full, pipes that nobody reads, and a journal. */
@Timeout(60)
class AuditLogTest {
  private static final String LOGGER = AuditLog.class.getName();

  @TempDir private Path directory;

  private static AuditEvent event(String name) {
    return new AuditEvent(Level.INFO, name, AuditEvent.facts("request").add("name", name).build());
  }

  private static JsonObject parse(String line) {
    return Json.createReader(new StringReader(line)).readObject();
  }

  private static List<String> names(Path file) throws IOException {
    return Files.readAllLines(file).stream().map(line -> parse(line).getString("name")).toList();
  }

  private static AuditLog open(Path file) {
    return AuditLog.open(new AuditTarget.File(file), false);
  }

  private static String refusal(Path file) {
    return assertThrows(ServerStartException.class, () -> open(file)).getMessage();
  }

  private static void chmod(Path file, String mode) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
  }

  private static void run(String... command) throws Exception {
    assertEquals(0, new ProcessBuilder(command).inheritIO().start().waitFor());
  }

  private static boolean isRoot() throws IOException {
    return (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid") == 0;
  }

  // ---- Files ----

  /** Its end is the end of all that the daemon says there. */
  @Test
  void leavesTheProcessItsOwnOutput() {
    AuditLog log = open(Path.of("/dev/stderr"));
    // As SIGHUP has it.
    log.reopen();
    assertTrue(FileDescriptor.err.valid(), "it was closed by the one that opened anew");
    assertEquals(Optional.empty(), log.problem());
    log.close();
    assertTrue(FileDescriptor.err.valid(), "it was closed at the end");
  }

  @Test
  void isALineForEachEventAtTheEndOfAFileThatOthersMayNotRead() throws Exception {
    Path file = directory.resolve("audit.log");
    try (AuditLog log = open(file)) {
      log.write(event("one"));
      assertEquals(List.of("one"), names(file));
    }
    assertEquals("rw-r-----", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    chmod(file, "rw-------");
    try (AuditLog log = open(file)) {
      log.write(event("two"));
    }
    assertEquals(List.of("one", "two"), names(file));
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
  }

  @Test
  void whateverIsSaidStaysInItsLine() throws Exception {
    Path file = directory.resolve("audit.log");
    String hostile = "a\"}\n{\"b\\\r\u0085\u2028\u001b[31m\u202e\u0000\ud800 \ud83d\ude00 é";
    try (AuditLog log = open(file)) {
      log.write(event(hostile));
    }
    String text = Files.readString(file);
    assertEquals(1, text.chars().filter(c -> c == '\n').count(), text);
    assertTrue(text.strip().chars().allMatch(c -> c >= ' '), text);
    for (String harmful : List.of("\u0085", "\u2028", "\u202e")) {
      assertFalse(text.contains(harmful), text);
    }
    assertEquals(hostile, parse(text).getString("name"));
  }

  @Test
  void aFileThatOthersCouldChangeIsRefused() throws Exception {
    Path file = Files.createFile(directory.resolve("audit.log"));
    chmod(file, "rw-rw-rw-");
    assertTrue(refusal(file).contains("lets others write"), refusal(file));
    Path open = Files.createDirectory(directory.resolve("open"));
    chmod(open, "rwxrwxrwx");
    String why = refusal(open.resolve("audit.log"));
    assertTrue(why.contains("everybody may write to " + open), why);
    assertFalse(Files.exists(open.resolve("audit.log")));
    assertTrue(refusal(directory).contains("it is a directory"));
    assertTrue(refusal(directory.resolve("no/audit.log")).contains("there is no folder"));
    if (isRoot()) {
      Path other = Files.createFile(directory.resolve("other.log"));
      Files.setAttribute(other, "unix:uid", 12345);
      assertTrue(refusal(other).contains("belongs to user 12345"), refusal(other));
      // A link that somebody has laid in a folder of all.
      run("chmod", "1777", open.toString());
      Path link = Files.createSymbolicLink(open.resolve("link"), directory.resolve("victim"));
      run("chown", "-h", "12345", link.toString());
      assertTrue(refusal(link).contains("belongs to user 12345"), refusal(link));
      assertFalse(Files.exists(directory.resolve("victim")));
    }
  }

  @Test
  void aFileThatWasMovedAwayGetsNoMore() throws Exception {
    Path file = directory.resolve("audit.log");
    Path rotated = directory.resolve("audit.log.1");
    try (AuditLog log = open(file)) {
      log.write(event("one"));
      Files.move(file, rotated);
      log.write(event("two"));
      log.reopen();
      log.write(event("three"));
      assertEquals(List.of("one", "two"), names(rotated));
      assertEquals(List.of("three"), names(file));
      // Where it cannot be opened anew, it goes on where it was.
      Files.move(file, rotated, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
      Files.createDirectory(file);
      try (TestLog said = new TestLog(LOGGER)) {
        log.reopen();
        log.write(event("four"));
        assertTrue(
            said.lines(java.util.logging.Level.WARNING).getFirst().contains("it is a directory"));
      }
      assertEquals(List.of("three", "four"), names(rotated));
    }
  }

  // ---- Trouble ----

  /** By a link, to move from a full disk to another one. */
  @Test
  void aFullDiskIsSaidOnceAndBlocksNobodyAndNothingIsLost() throws Exception {
    Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("/dev/full"));
    Path file = directory.resolve("audit.log");
    try (TestLog said = new TestLog(LOGGER);
        AuditLog log = open(link)) {
      List<String> all = IntStream.range(0, 300).mapToObj(String::valueOf).toList();
      all.forEach(name -> log.write(event(name)));
      assertEquals("the disk is full", log.problem().orElseThrow());
      List<String> warnings = said.lines(java.util.logging.Level.WARNING);
      assertEquals(1, warnings.size(), warnings::toString);
      assertTrue(warnings.getFirst().contains("the disk is full: requests do not wait"));
      Files.delete(link);
      Files.createSymbolicLink(link, file);
      Files.createFile(file);
      log.reopen();
      Await.until("it is well again", () -> log.problem().isEmpty());
      log.write(event("last"));
      Await.until("all are written", () -> lines(file) == 301);
      assertEquals(all, names(file).subList(0, 300));
      assertEquals(1, said.lines(java.util.logging.Level.INFO).size());
      assertEquals(1, said.lines(java.util.logging.Level.WARNING).size());
    }
  }

  private static long lines(Path file) {
    try {
      return Files.readAllLines(file).size();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void aDiskThatFillsUpInTheMiddleOfALineLeavesNoPartOfIt() throws Exception {
    assumeTrue(isRoot(), "needs root, to mount a small disk");
    Path disk = Files.createDirectory(directory.resolve("disk"));
    int mounted =
        new ProcessBuilder("mount", "-t", "tmpfs", "-o", "size=8k,mode=755", "x", disk.toString())
            .start()
            .waitFor();
    assumeTrue(mounted == 0, "cannot mount here");
    Path file = disk.resolve("audit.log");
    try (AuditLog log = open(file)) {
      for (int i = 0; log.problem().isEmpty(); i++) {
        log.write(event(i + "x".repeat(999)));
      }
      List<String> before = names(file);
      assertTrue(before.size() > 3, before::toString);
      run("mount", "-o", "remount,size=80k", disk.toString());
      Await.until("there is room", () -> log.problem().isEmpty());
      log.write(event("last"));
      List<String> after = names(file);
      assertEquals(before, after.subList(0, before.size()));
      assertEquals(before.size() + 2, after.size());
    } finally {
      run("umount", disk.toString());
    }
  }

  @Test
  void aFifoThatNobodyReadsBlocksNobody() throws Exception {
    Path fifo = directory.resolve("fifo");
    run("mkfifo", "-m", "600", fifo.toString());
    try (AuditLog log = open(fifo)) {
      for (int i = 0; i < 3000; i++) {
        log.write(event(String.valueOf(i)));
      }
      assertTrue(log.problem().orElseThrow().contains("takes nothing"));
      try (BufferedReader reader = Files.newBufferedReader(fifo)) {
        for (int i = 0; i < 3000; i++) {
          assertEquals(String.valueOf(i), parse(reader.readLine()).getString("name"));
        }
        Await.until("it is well again", () -> log.problem().isEmpty());
      }
    }
  }

  /** By bytes: names are what clients make of them. */
  @Test
  void whatIsKeptIsBoundedAndTheRestIsCounted() throws Exception {
    Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("/dev/full"));
    Path file = Files.createFile(directory.resolve("audit.log"));
    int all = 3 * AuditBacklog.MAX_BYTES / 100_000;
    try (AuditLog log = open(link)) {
      for (int i = 0; i < all; i++) {
        log.write(event(i + "x".repeat(100_000)));
      }
      Files.delete(link);
      Files.createSymbolicLink(link, file);
      log.reopen();
      Await.until("it is well again", () -> log.problem().isEmpty());
      log.write(event("last"));
    }
    List<JsonObject> written = Files.readAllLines(file).stream().map(AuditLogTest::parse).toList();
    long kept = written.stream().filter(line -> line.getString("name", "").contains("x")).count();
    int lost = written.stream().mapToInt(line -> line.getInt("count", 0)).sum();
    assertEquals(all, kept + lost);
    assertTrue(Files.size(file) < AuditBacklog.MAX_BYTES + 1000, () -> "bytes: " + kept);
    assertTrue(kept >= all / 3 - 1, () -> kept + " of " + all);
  }

  @Test
  void refusalsOfAPeerAreCountedWhereThereAreTooMany() throws Exception {
    Path file = directory.resolve("audit.log");
    int all = 1000;
    try (AuditLog log = open(file)) {
      for (int i = 0; i < all; i++) {
        log.writeRefusal(event("mallory"), "mallory");
      }
      log.writeRefusal(event("alice"), "alice");
      Await.until("all are told", () -> told(file, "mallory") == all);
      assertEquals(1, told(file, "alice"));
      assertTrue(lines(file) < all / 2, () -> lines(file) + " lines");
    }
  }

  private static long told(Path file, String peer) {
    try {
      return Files.readAllLines(file).stream()
          .map(AuditLogTest::parse)
          .mapToLong(
              line ->
                  line.getString("name", line.getString("from", "")).equals(peer)
                      ? line.getInt("count", 1)
                      : 0)
          .sum();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  // ---- The journal ----

  /** Prints each entry in hex, one a line, as the kernel or a sealed file in memory has it. */
  private static final String RECEIVER =
      """
      import array, os, socket, sys
      s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
      if os.path.exists(sys.argv[1]): os.remove(sys.argv[1])
      s.bind(sys.argv[1])
      print("ready", flush=True)
      while True:
          data, control, _, _ = s.recvmsg(1 << 20, 100)
          for level, kind, fds in control:
              fd = array.array("i", fds)[0]
              try:
                  os.ftruncate(fd, 0)
                  data = b"not sealed"
              except PermissionError:
                  data = os.pread(fd, 1 << 24, 0)
          print(data.hex(), flush=True)
      """;

  /** A process that is a journal to us. */
  private record Journal(Process process, BufferedReader out) implements AutoCloseable {
    static Journal start(Path socket) throws IOException {
      Process process =
          new ProcessBuilder("python3", "-c", RECEIVER, socket.toString())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      BufferedReader out = process.inputReader();
      assertEquals("ready", out.readLine());
      return new Journal(process, out);
    }

    String entry() throws IOException {
      return new String(java.util.HexFormat.of().parseHex(out.readLine()), StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
      process.destroyForcibly().onExit().join();
    }
  }

  @Test
  void theJournalGetsFieldsAndLargeEntriesAndMayBeStartedAnew() throws Exception {
    Path socket = directory.resolve("journal");
    AuditTarget target = new AuditTarget.Journal(socket);
    String missing =
        assertThrows(ServerStartException.class, () -> AuditLog.open(target, false)).getMessage();
    assertTrue(missing.contains("the journal cannot be written"), missing);
    AuditEvent peer =
        new AuditEvent(
            Level.NOTICE,
            "in\nwords",
            AuditEvent.facts("request")
                .add("peer", Json.createObjectBuilder().add("uid", 7))
                .add("subject", "two\nlines")
                .build());
    try (AuditLog log = startWith(socket, target, peer);
        TestLog said = new TestLog(LOGGER)) {
      // Nobody is there: it is kept.
      log.write(event("kept"));
      assertTrue(log.problem().isPresent());
      assertEquals(1, said.lines(java.util.logging.Level.WARNING).size());
      try (Journal journal = Journal.start(socket)) {
        assertTrue(journal.entry().contains("ZEUSD_NAME=kept\n"));
        log.write(event("y".repeat(1_000_000)));
        assertTrue(journal.entry().contains("ZEUSD_NAME=" + "y".repeat(1_000_000) + "\n"));
      }
    }
  }

  private static AuditLog startWith(Path socket, AuditTarget target, AuditEvent event)
      throws Exception {
    try (Journal journal = Journal.start(socket)) {
      AuditLog log = AuditLog.open(target, false);
      log.write(event);
      String entry = journal.entry();
      assertTrue(entry.startsWith("MESSAGE=in words\nPRIORITY=5\nSYSLOG_IDENTIFIER=zeusd-audit\n"));
      assertTrue(entry.contains("\nZEUSD_PEER_UID=7\n"), entry);
      assertTrue(entry.contains("\nZEUSD_SUBJECT\n\t\0\0\0\0\0\0\0two\nlines\n"), entry);
      String json = entry.replaceFirst("(?s).*\nZEUSD_AUDIT=([^\n]*)\n.*", "$1");
      assertEquals("two\nlines", parse(json).getString("subject"));
      return log;
    }
  }
}
