package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Starts that the surroundings do not allow, each with the whole process: status 1, and one line
 * that says what, why in plain words, and what to do.
 */
class BadStartsTest {
  private static final Pattern NOT_FOR_USERS =
      Pattern.compile(
          "Exception|Error\\b|java\\.|sun\\.|dev\\.zeusd|0:0:0|null|\\bat [a-z]+\\.|errno");
  private static final Pattern WAY_OUT =
      Pattern.compile(
          "choose|move|make one|stop it|run |name |copy|check|give|is it another|change");

  @TempDir private Path directory;

  private Path key;

  @BeforeEach
  void makeKey() throws IOException {
    key = Files.writeString(directory.resolve("key"), "k".repeat(44));
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-------"));
  }

  private void assertRefused(String culprit, String why, String... args) throws Exception {
    try (ZeusdProcess zeusd = ZeusdProcess.start(directory, Map.of(), args)) {
      assertRefused(zeusd, culprit, why);
    }
  }

  private static void assertRefused(ZeusdProcess zeusd, String culprit, String why)
      throws Exception {
    zeusd.assertFails(culprit, why);
    String line = zeusd.err().lines().toList().getLast();
    assertFalse(NOT_FOR_USERS.matcher(line.replace(culprit, "")).find(), line);
    assertTrue(WAY_OUT.matcher(line.replace(culprit, "")).find(), () -> "no way out: " + line);
    assertEquals(line.indexOf(culprit), line.lastIndexOf(culprit), () -> "said twice: " + line);
  }

  private void assertSocketRefused(String path, String why) throws Exception {
    assertRefused(path, why, "serve", "--simulate", "--socket-path", path);
  }

  @Test
  void auditLogs() throws Exception {
    Path writable = Files.createFile(directory.resolve("audit.log"));
    Files.setPosixFilePermissions(writable, PosixFilePermissions.fromString("rw-rw-rw-"));
    assertAuditLogRefused(writable.toString(), "its mode lets others write to it");
    assertAuditLogRefused(directory + "/no/audit.log", "there is no folder");
    assertAuditLogRefused(directory.toString(), "it is a directory");
  }

  private void assertAuditLogRefused(String path, String why) throws Exception {
    String socket = directory.resolve("z.sock").toString();
    assertRefused(path, why, "serve", "--simulate", "--socket-path", socket, "--audit-log", path);
  }

  @Test
  void paths() throws Exception {
    Path file = Files.writeString(directory.resolve("file"), "");
    assertSocketRefused(file.toString(), "is not a socket");
    assertSocketRefused(file + "/z.sock", "is not a directory");
    assertSocketRefused("/proc/zeusd/z.sock", "cannot listen");
    assertSocketRefused("/proc/z.sock", "no file can be made in /proc");
    Path loop = Files.createSymbolicLink(directory.resolve("loop"), Path.of("loop"));
    assertSocketRefused(loop + "/z.sock", "circle");
    Path dangling = Files.createSymbolicLink(directory.resolve("dangling"), Path.of("nothing"));
    assertSocketRefused(dangling.toString(), "is not a socket");
    try (Stream<Path> left = Files.list(directory)) {
      assertEquals(
          List.of(), left.map(Path::toString).filter(name -> name.endsWith(".lock")).toList());
    }
  }

  @Test
  void sockets() throws Exception {
    String path = directory.resolve("z.sock").toString();
    try (ZeusdProcess live =
        ZeusdProcess.start(directory, Map.of(), "serve", "--simulate", "--socket-path", path)) {
      live.awaitListening();
      assertSocketRefused(path, "listening");
      assertTrue(Files.notExists(Path.of(path + ".lock")), "a lock was left");
    }
  }

  @Test
  void ports() throws Exception {
    try (ServerSocket v4 = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      assertTcpRefused("127.0.0.1:" + v4.getLocalPort(), "in use");
    }
    assertTcpRefused("192.0.2.1:4938", "does not have that address");
    assertTcpRefused("gpu01.invalid", "cannot be found", "gpu01.invalid:4938");
    try (ServerSocket v6 = new ServerSocket(0, 1, InetAddress.getByName("::1"))) {
      assertTcpRefused("[::1]:" + v6.getLocalPort(), "in use");
    } catch (java.net.BindException e) {
      assumeTrue(false, "this machine has no ::1");
    }
  }

  private void assertTcpRefused(String address, String why) throws Exception {
    assertTcpRefused(address, why, address);
  }

  private void assertTcpRefused(String culprit, String why, String address) throws Exception {
    assertRefused(
        culprit, why, "serve", "--simulate", "--mode", "tcp", "--tcp-bind-address", address);
  }

  private void assertKeyRefused(Path file, String why) throws Exception {
    String path = file.toString();
    assertRefused(
        path, why, "token", "issue", "--user=x", "--expires=1h", "--signing-key-path=" + path);
  }

  @Test
  void keys() throws Exception {
    assertKeyRefused(directory.resolve("nothing"), "does not exist");
    assertKeyRefused(directory, "is a directory");
    assertKeyRefused(Path.of("/dev/zero"), "not a regular file");
    Path fifo = directory.resolve("fifo");
    assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    assertKeyRefused(fifo, "not a regular file");
    assertKeyRefused(Files.writeString(directory.resolve("short"), "k"), "needs at least 32");
    Path huge = directory.resolve("huge");
    try (RandomAccessFile sparse = new RandomAccessFile(huge.toFile(), "rw")) {
      sparse.setLength(3L << 30);
    }
    assertKeyRefused(huge, "has more than 65536 bytes");
    Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("gone"));
    assertKeyRefused(link, "symbolic link to something that does not exist");
    Path loop = Files.createSymbolicLink(directory.resolve("loop"), Path.of("loop"));
    assertKeyRefused(loop, "circle");
    for (Path odd : List.of(fifo, huge, directory, Path.of("/dev/zero"))) {
      String option = "--revoked-tokens=" + odd;
      String issued = "--signing-key-path=" + key;
      assertRefused(odd.toString(), "revoked tokens", "serve", "--simulate", issued, option);
    }
    for (Path odd : List.of(fifo, huge, directory, Path.of("/dev/zero"))) {
      assertRefused(odd.toString(), "configuration file", "serve", "--config=" + odd);
    }
    // What serve says of a key is the same.
    assertRefused(
        fifo.toString(), "not a regular file", "serve", "--simulate", "--signing-key-path=" + fifo);
  }

  /**
   * A regular file, too, may keep whoever opens it waiting: here one with a lease of the system.
   */
  @Test
  void aKeyThatKeepsItsReaderWaiting() throws Exception {
    String holdLease =
        """
        $SIG{IO} = 'IGNORE'; $| = 1;
        open(my $key, '+<', $ARGV[0]) or die $!;
        fcntl($key, 1024, 1) or die $!;  # F_SETLEASE, F_WRLCK
        print "held\n";
        <STDIN>;
        """;
    Process holder =
        new ProcessBuilder("perl", "-e", holdLease, key.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader said = holder.inputReader()) {
      assumeTrue("held".equals(said.readLine()), "no leases on this file system, or no perl");
      assertKeyRefused(key, "kept its reader waiting");
      assertRefused(key.toString(), "kept its reader waiting", "serve", "--config=" + key);
    } finally {
      holder.destroy();
      holder.waitFor();
    }
  }

  @Test
  void withoutPermission() throws Exception {
    assumeTrue(isRoot(), "needs root, to become another user");
    Unprivileged nobody = new Unprivileged(directory);
    Path locked = Files.createDirectory(directory.resolve("locked"));
    Path own = Files.createDirectory(directory.resolve("own"));
    Files.setAttribute(own, "unix:uid", 65534);
    Files.setPosixFilePermissions(locked, PosixFilePermissions.fromString("rwx------"));
    Path inside = Files.copy(key, locked.resolve("key"));
    for (Path unreadable : List.of(key, inside)) {
      try (ZeusdProcess zeusd =
          nobody.start(
              "token", "issue", "--user=x", "--expires=1h", "--signing-key-path=" + unreadable)) {
        assertRefused(zeusd, unreadable.toString(), "permission denied");
      }
    }
    for (String refused : List.of(locked + "/z.sock", "/z.sock")) {
      try (ZeusdProcess zeusd = nobody.start("serve", "--simulate", "--socket-path", refused)) {
        assertRefused(zeusd, refused, "permission denied");
      }
    }
    String path = own.resolve("z.sock").toString();
    try (ZeusdProcess zeusd =
        nobody.start("serve", "--simulate", "--socket-path", path, "--socket-uid", "0")) {
      assertRefused(zeusd, path, "needs root");
      try (Stream<Path> left = Files.list(own)) {
        assertEquals(List.of(), left.toList());
      }
    }
  }

  private static boolean isRoot() throws IOException {
    return (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid") == 0;
  }

  @ParameterizedTest
  @CsvSource({
    "600, 0, 755, ''",
    "640, 0, 755, CAN BE READ BY OTHERS",
    "602, 0, 755, CAN BE WRITTEN BY OTHERS",
    "666, 0, 755, CAN BE READ AND WRITTEN BY OTHERS",
    "600, 12345, 755, BELONGS TO ANOTHER USER",
    "600, 0, 777, CAN BE REPLACED BY OTHERS",
    "600, 0, 1777, ''"
  })
  void warnsOfKeysThatOthersHaveToo(int mode, int owner, int folderMode, String warning)
      throws Exception {
    assumeTrue(isRoot(), "needs root, to give a key away");
    Path folder = Files.createDirectory(directory.resolve("folder"));
    Path inside = Files.copy(key, folder.resolve("key"));
    Files.setAttribute(inside, "unix:uid", owner);
    Files.setAttribute(inside, "unix:mode", Integer.parseInt("" + mode, 8));
    Files.setAttribute(folder, "unix:mode", Integer.parseInt("" + folderMode, 8));
    List<String> args = new ArrayList<>(List.of("token", "issue", "--user=x", "--expires=1h"));
    args.add("--signing-key-path=" + inside);
    try (ZeusdProcess zeusd =
        ZeusdProcess.start(directory, Map.of(), args.toArray(String[]::new))) {
      assertEquals(0, zeusd.awaitExit(), zeusd::toString);
      assertEquals(warning.isEmpty() ? 0 : 1, zeusd.err().lines().count(), zeusd::toString);
      assertTrue(zeusd.err().contains(warning), zeusd::toString);
    }
  }
}
