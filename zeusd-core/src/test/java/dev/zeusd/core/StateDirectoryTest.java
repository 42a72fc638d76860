package dev.zeusd.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.ffm.fake.ChildJvm;
import dev.zeusd.ffm.posix.ThisProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.logging.Level;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StateDirectoryTest {
  private static final List<String> LINES = List.of("first", "zweite Zeile: äöü");

  private Path dir;

  @BeforeEach
  void makeParent(@TempDir Path parent) {
    dir = parent.resolve("lib/zeusd");
  }

  private StateDirectory open() {
    return StateDirectory.open(dir, "nothing is kept").orElseThrow();
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(dir)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> !name.equals(".lock"))
          .sorted()
          .toList();
    }
  }

  @Test
  void whatIsWrittenIsThereForTheNextProcess() throws IOException {
    assertEquals(Optional.empty(), open().read("state"));
    open().write("state", List.of("older"));
    open().write("state", LINES);
    assertEquals(Optional.of(LINES), open().read("state"));
    assertEquals(List.of("state"), files());
    assertEquals("rwx------", permissions(dir));
    assertEquals("rw-------", permissions(dir.resolve("state")));
  }

  private static String permissions(Path file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }

  @Test
  void anotherBootHasItsOwn() throws IOException {
    StateDirectory.openOn("boot-1", dir).write("state", LINES);
    try (TestLog log = new TestLog(StateDirectory.class.getName())) {
      assertEquals(Optional.empty(), StateDirectory.openOn("boot-2", dir).read("state"));
      assertEquals(List.of(), log.lines(Level.WARNING));
    }
    assertEquals(Optional.of(LINES), StateDirectory.openOn("boot-1", dir).read("state"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "garbage",
        "zeusd-state-1\n",
        "zeusd-state-1 a b\nx\n",
        "zeusd-state-9 a b\n",
        "\0\0\0\0\n\n"
      })
  void oneThatIsDamagedIsSetAside(String text) throws IOException {
    open().write("state", LINES);
    Files.writeString(dir.resolve("state"), text);
    try (TestLog log = new TestLog(StateDirectory.class.getName())) {
      assertEquals(Optional.empty(), open().read("state"));
      assertEquals(1, log.lines(Level.WARNING).size());
      assertTrue(
          log.lines(Level.WARNING).getFirst().contains(dir.resolve("state") + " is damaged"));
    }
    assertEquals(List.of("state.damaged"), files());
    open().write("state", LINES);
    assertEquals(Optional.of(LINES), open().read("state"));
  }

  @Test
  void aTornOrChangedFileIsDamaged() throws IOException {
    open().write("state", LINES);
    byte[] whole = Files.readAllBytes(dir.resolve("state"));
    for (int length = 0; length < whole.length; length++) {
      Files.write(dir.resolve("state"), Arrays.copyOf(whole, length));
      assertEquals(Optional.empty(), open().read("state"), "the first " + length + " bytes");
    }
    for (int at = 0; at < whole.length; at++) {
      byte[] changed = whole.clone();
      changed[at] ^= 4;
      Files.write(dir.resolve("state"), changed);
      assertEquals(Optional.empty(), open().read("state"), "byte " + at);
    }
  }

  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void whatIsNoFileIsSetAsideToo() throws Exception {
    StateDirectory state = open();
    Path file = dir.resolve("state");
    Path elsewhere = Files.writeString(dir.resolveSibling("elsewhere"), "not ours");
    Files.createSymbolicLink(file, elsewhere);
    assertEquals(Optional.empty(), state.read("state"));
    Files.createDirectory(file);
    assertEquals(Optional.empty(), state.read("state"));
    assertEquals(0, new ProcessBuilder("mkfifo", file.toString()).start().waitFor());
    Files.delete(dir.resolve("state.damaged"));
    assertEquals(Optional.empty(), state.read("state"));
    // A link in the place of the new file is replaced, not followed.
    Files.createSymbolicLink(dir.resolve(".state.new"), elsewhere);
    state.write("state", LINES);
    assertEquals("not ours", Files.readString(elsewhere));
    assertEquals(Optional.of(LINES), state.read("state"));
  }

  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aLockThatIsNoFileIsNamed() throws Exception {
    Path lock = Files.createDirectories(dir).resolve(".lock");
    Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwx------"));
    assertEquals(0, new ProcessBuilder("mkfifo", lock.toString()).start().waitFor());
    assertRefused(lock + " is not a file of this program; remove it");
    Files.delete(lock);
    Files.createSymbolicLink(lock, dir.resolveSibling("elsewhere"));
    assertRefused(lock + " is not a file of this program; remove it");
    assertFalse(Files.exists(dir.resolveSibling("elsewhere")));
  }

  @Test
  void oneThatOthersMayWriteToIsNotUsed() throws IOException {
    Files.createDirectories(dir);
    Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwxr-xrwx"));
    assertRefused("everybody may write to " + dir);
  }

  @Test
  void oneThatAStrangerCouldLeadElsewhereIsNotUsed() throws IOException {
    assumeTrue(ThisProcess.effectiveUid() == 0, "needs root, to give a directory to somebody else");
    Path theirs = Files.createDirectories(dir.getParent());
    Files.setAttribute(theirs, "unix:uid", 65534);
    assertRefused(theirs + " belongs to user");
  }

  @Test
  void oneThatCannotBeMadeIsNamed() throws IOException {
    Files.createDirectories(dir.getParent());
    Files.writeString(dir, "a file");
    assertRefused(dir.toString());
    dir = Path.of("/proc/zeusd");
    assertRefused("/proc/zeusd");
  }

  private void assertRefused(String reason) {
    try (TestLog log = new TestLog(StateDirectory.class.getName())) {
      assertEquals(Optional.empty(), StateDirectory.open(dir, "nothing is kept"));
      String line = log.lines(Level.WARNING).getFirst();
      assertTrue(line.contains(reason), line);
      assertTrue(line.contains("so nothing is kept"), line);
      assertTrue(!line.contains("Exception"), line);
    }
  }

  /** Opens the directory in a process of its own. */
  static final class OtherProcess {
    public static void main(String[] args) {
      Path dir = Path.of(System.getProperty("state.dir"));
      System.out.println("opened: " + StateDirectory.open(dir, "nothing is kept").isPresent());
    }
  }

  @Test
  void oneThatAnotherProcessUsesIsLeftToIt() throws Exception {
    StateDirectory state = open();
    state.write("state", LINES);
    ChildJvm.Result child = ChildJvm.run(OtherProcess.class, Map.of(), "-Dstate.dir=" + dir);
    assertTrue(child.output().contains("opened: false"), child.output());
    assertTrue(child.output().contains("another process uses it"), child.output());
    assertEquals(Optional.of(LINES), open().read("state"));
  }

  @Test
  void aLockThatIsRemovedIsNoticedAndTakenAgain() throws Exception {
    StateDirectory state = open();
    assertTrue(state.isLocked());
    Files.delete(dir.resolve(".lock"));
    assertTrue(!state.isLocked());
    state.write("state", LINES);
    assertTrue(state.isLocked());
    ChildJvm.Result child = ChildJvm.run(OtherProcess.class, Map.of(), "-Dstate.dir=" + dir);
    assertTrue(child.output().contains("another process uses it"), child.output());
  }

  @Test
  void nothingIsWrittenThatIsTooLongToBeRead() throws IOException {
    StateDirectory state = open();
    state.write("state", List.of("x".repeat(2 << 20)));
    assertTrue(state.read("state").isPresent());
    List<String> tooLong = List.of("x".repeat(17 << 20));
    assertThrows(IOException.class, () -> state.write("state", tooLong));
    assertTrue(state.read("state").isPresent());
  }

  @Test
  void aWriteThatFailsLeavesWhatWasThere() throws IOException {
    StateDirectory state = open();
    state.write("state", LINES);
    Files.createDirectories(dir.resolve(".state.new/in the way"));
    assertThrows(IOException.class, () -> state.write("state", List.of("newer")));
    assertEquals(Optional.of(LINES), state.read("state"));
  }

  @Test
  void aWriteThatFailsAtItsEndLeavesNothing() throws IOException {
    StateDirectory state = open();
    Files.createDirectories(dir.resolve("state/in the way"));
    assertThrows(IOException.class, () -> state.write("state", LINES));
    assertTrue(Files.notExists(dir.resolve(".state.new")));
  }
}
