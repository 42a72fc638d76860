package dev.zeusd.server;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.raw.RawConnection;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The file of the socket: when it is there, with which rights, and whose. */
class UnixSocketTest {
  /** A user, and a group, that nobody is. */
  private static final int STRANGER = 12345;

  private static Node node;

  @TempDir private Path directory;

  private Path socket;

  @BeforeAll
  static void openNode() {
    TestServer.freshNvml();
    node =
        Node.open(
            NodeConfig.defaults().withGpuBackend(GpuBackend.NONE).withCpuBackend(CpuBackend.NONE));
  }

  @AfterAll
  static void closeNode() {
    node.close();
  }

  @BeforeEach
  void choosePath() {
    socket = directory.resolve("zeusd.sock");
  }

  private static ZeusdServer start(Path path) {
    return start(TestServer.unixSocket(path, 0600));
  }

  private static ZeusdServer start(Listen listen) {
    return ZeusdServer.start(node, TestServer.config(listen));
  }

  private static void assertServes(Path path) throws IOException {
    try (RawConnection connection = RawConnection.open(UnixDomainSocketAddress.of(path))) {
      assertEquals(200, connection.get("/time").status());
    }
  }

  private static int mode(Path file) throws IOException {
    return (Integer) Files.getAttribute(file, "unix:mode", NOFOLLOW_LINKS);
  }

  @ParameterizedTest
  @ValueSource(ints = {0600, 0660, 0666, 0777, 0, 0640, 0606})
  void hasExactlyTheAskedPermissions(int permissions) throws IOException {
    try (ZeusdServer server = start(TestServer.unixSocket(socket, permissions))) {
      assertEquals(0140000 | permissions, mode(socket));
      assertEquals(-1, server.port());
    }
    assertFalse(Files.exists(socket, NOFOLLOW_LINKS));
  }

  @Test
  void neverHasWiderPermissionsWhileItStarts() throws Exception {
    ConcurrentLinkedQueue<String> tooWide = new ConcurrentLinkedQueue<>();
    AtomicInteger seen = new AtomicInteger();
    Thread watcher =
        Thread.ofPlatform()
            .start(
                () -> {
                  while (!Thread.currentThread().isInterrupted()) {
                    look(tooWide, seen);
                  }
                });
    try {
      // The one who looks may be out of luck on a busy machine: then some more.
      for (int i = 0; i < 60 || seen.get() <= 60 && i < 6000; i++) {
        try (ZeusdServer server = start(TestServer.unixSocket(socket, 0600))) {
          assertEquals(0140600, mode(socket), server::toString);
        }
      }
    } finally {
      watcher.interrupt();
      watcher.join();
    }
    assertEquals(List.of(), List.copyOf(tooWide));
    assertTrue(seen.get() > 60, () -> "looked only " + seen + " times while files were there");
  }

  /** Everything in the directory is for its owner only. */
  private void look(ConcurrentLinkedQueue<String> tooWide, AtomicInteger seen) {
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        int mode = mode(entry);
        seen.incrementAndGet();
        if ((mode & 0077) != 0) {
          tooWide.add(entry + " " + Integer.toOctalString(mode));
        }
      }
    } catch (NoSuchFileException e) {
      // Gone meanwhile.
    } catch (IOException | java.nio.file.DirectoryIteratorException e) {
      tooWide.add(e.toString());
    }
  }

  @Test
  void replacesAStaleSocket() throws IOException {
    leaveStaleSocket(socket);
    Files.setAttribute(socket, "unix:mode", 0777);
    try (ZeusdServer server = start(socket)) {
      assertEquals(0140600, mode(socket), server::toString);
      assertServes(socket);
    }
    assertFalse(Files.exists(socket, NOFOLLOW_LINKS));
  }

  private static void leaveStaleSocket(Path path) throws IOException {
    try (ServerSocketChannel channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      channel.bind(UnixDomainSocketAddress.of(path));
    }
    assertTrue(Files.exists(path, NOFOLLOW_LINKS));
  }

  @Test
  void leavesALiveSocketAlone() throws IOException {
    try (ZeusdServer first = start(socket)) {
      assertRefused(socket, "another process is listening at " + socket);
      assertRefused(socket, "another process is listening at " + socket);
      assertServes(socket);
      assertEquals(-1, first.port());
      assertNothingLeft();
    }
    assertFalse(Files.exists(socket, NOFOLLOW_LINKS));
    assertNothingLeft();
  }

  @Test
  void leavesALiveSocketOfAnotherProgramAlone() throws IOException {
    try (ServerSocketChannel other = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      other.bind(UnixDomainSocketAddress.of(socket));
      int mode = mode(socket);
      assertRefused(socket, "another process is listening at " + socket);
      assertEquals(mode, mode(socket));
    }
  }

  @Test
  void leavesALiveSocketAloneThatAcceptsNobodyAnyMore() throws IOException {
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(socket);
    List<SocketChannel> waiting = new ArrayList<>();
    try (ServerSocketChannel busy = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      busy.bind(address, 1);
      assertThrows(
          SocketException.class,
          () -> {
            while (true) {
              waiting.add(SocketChannel.open(StandardProtocolFamily.UNIX));
              waiting.getLast().configureBlocking(false);
              waiting.getLast().connect(address);
            }
          });
      assertTimeoutPreemptively(
          RawConnection.PATIENCE, () -> assertRefused(socket, socket.toString()));
      assertTrue(Files.exists(socket));
    } finally {
      for (SocketChannel channel : waiting) {
        channel.close();
      }
    }
  }

  @Test
  void theSystemShowsItAtItsPath() throws IOException {
    try (ZeusdServer server = start(socket)) {
      assertEquals(-1, server.port());
      try (Stream<String> sockets = Files.lines(Path.of("/proc/net/unix"))) {
        assertTrue(sockets.anyMatch(line -> line.endsWith(" " + socket)), "is not shown");
      }
    }
  }

  @Test
  void leavesWhatIsNoSocketAlone() throws IOException {
    Files.writeString(socket, "precious");
    assertRefused(socket, socket + " exists and is not a socket");
    assertEquals("precious", Files.readString(socket));
    Path folder = Files.createDirectory(directory.resolve("folder"));
    assertRefused(folder, folder + " exists and is not a socket");
    assertTrue(Files.isDirectory(folder));
    assertNothingLeft();
  }

  @Test
  void leavesLinksAlone() throws IOException {
    Path stale = directory.resolve("stale.sock");
    leaveStaleSocket(stale);
    for (Path target : List.of(stale, directory.resolve("nothing"))) {
      Path link = Files.createSymbolicLink(directory.resolve("link"), target);
      assertRefused(link, link + " exists and is not a socket");
      assertEquals(target, Files.readSymbolicLink(link));
      Files.delete(link);
    }
    assertTrue(Files.exists(stale, NOFOLLOW_LINKS));
    assertNothingLeft();
  }

  /** In a directory where others may write, somebody could lay anything there. */
  @ParameterizedTest
  @ValueSource(strings = {"link", "dangling link", "fifo", "directory", "file", "hard link"})
  void neitherWaitsForNorTouchesAStrangersLockFile(String kind) throws Exception {
    Path lock = directory.resolve("zeusd.sock.lock");
    Path precious = Files.writeString(directory.resolve("precious"), "precious");
    switch (kind) {
      case "link" -> Files.createSymbolicLink(lock, precious);
      case "dangling link" -> Files.createSymbolicLink(lock, directory.resolve("nothing"));
      case "fifo" -> run("mkfifo", lock.toString());
      case "directory" -> Files.createDirectory(lock);
      case "hard link" -> Files.createLink(lock, precious);
      default -> {
        assumeRoot();
        Files.writeString(lock, "");
        Files.setAttribute(lock, "unix:uid", STRANGER);
      }
    }
    int mode = mode(lock);
    assertTimeoutPreemptively(
        RawConnection.PATIENCE,
        () -> {
          try (ZeusdServer server = start(socket)) {
            assertServes(socket);
            assertEquals(-1, server.port());
          }
        });
    assertEquals(mode, mode(lock));
    assertEquals("precious", Files.readString(precious));
    assertFalse(Files.exists(directory.resolve("nothing")));
    assertFalse(Files.exists(socket, NOFOLLOW_LINKS));
  }

  private static void run(String... command) throws Exception {
    assertEquals(0, new ProcessBuilder(command).inheritIO().start().waitFor());
  }

  private static void assumeRoot() throws IOException {
    assumeTrue((Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid") == 0, "needs root");
  }

  /**
   * What somebody could lead elsewhere is not even looked at: nothing appears at the other place.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {"stranger's", "for all", "for a group", "a link of a stranger's", "to be made"})
  void refusesAPathThatAStrangerCouldTurn(String kind) throws Exception {
    assumeRoot();
    Path above = Files.createDirectory(directory.resolve("above"));
    Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
    Path parent = above.resolve("parent");
    if (kind.equals("a link of a stranger's")) {
      Files.createSymbolicLink(parent, elsewhere);
      run("chown", "-h", String.valueOf(STRANGER), parent.toString());
      Files.setAttribute(above, "unix:mode", 01777);
    } else if (!kind.equals("to be made")) {
      Files.createDirectory(parent);
    }
    switch (kind) {
      case "stranger's", "to be made" -> Files.setAttribute(above, "unix:uid", STRANGER);
      case "for all" -> Files.setAttribute(above, "unix:mode", 0777);
      case "for a group" -> {
        Files.setAttribute(above, "unix:gid", STRANGER);
        Files.setAttribute(above, "unix:mode", 0770);
      }
      default -> {
        // Done.
      }
    }
    assertRefused(parent.resolve("z.sock"), above.toString());
    assertRefused(parent.resolve("z.sock"), "could lead this path elsewhere");
    try (Stream<Path> made = Files.list(elsewhere)) {
      assertEquals(0, made.count(), "made something elsewhere");
    }
    assertEquals(kind.equals("to be made"), Files.notExists(parent, NOFOLLOW_LINKS));
  }

  @ParameterizedTest
  @ValueSource(strings = {"sticky", "a link of root's", "root's in a sticky one"})
  void listensWhereNobodyCouldTurnThePath(String kind) throws Exception {
    Path above = Files.createDirectory(directory.resolve("above"));
    Path parent = above.resolve("parent");
    if (kind.equals("a link of root's")) {
      Files.createSymbolicLink(parent, Path.of("../elsewhere/./x/.."));
      Files.createDirectories(directory.resolve("elsewhere/x"));
    } else {
      Files.createDirectory(parent);
    }
    Files.setAttribute(kind.equals("sticky") ? parent : above, "unix:mode", 01777);
    try (ZeusdServer server = start(parent.resolve("z.sock"))) {
      assertServes(parent.resolve("z.sock"));
      assertEquals(-1, server.port());
    }
  }

  /**
   * The directory is a stranger's, who puts a hard link to a file of root's at the socket's path
   * whenever there is something. (In truth, root does it, whom nothing forbids.)
   */
  @Test
  void givesNothingAwayInAStrangersDirectory() throws Exception {
    assumeRoot();
    Path strangers = Files.createDirectory(directory.resolve("strangers"));
    Files.setAttribute(strangers, "unix:uid", STRANGER);
    Path precious = Files.writeString(directory.resolve("precious"), "precious");
    Files.setAttribute(precious, "unix:mode", 0600);
    Path path = strangers.resolve("z.sock");
    Listen listen =
        new Listen.UnixSocket(path, 0666, OptionalInt.of(STRANGER), OptionalInt.of(STRANGER));
    AtomicInteger swaps = new AtomicInteger();
    Thread attacker = Thread.ofPlatform().start(() -> swapAtSpeed(precious, path, swaps));
    int started = 0;
    try {
      for (int round = 0; round < 300 || swaps.get() == 0 && round < 3000; round++) {
        try (ZeusdServer server = start(listen)) {
          started++;
          assertEquals(-1, server.port());
        } catch (ServerStartException e) {
          assertTrue(e.getMessage().contains(path.toString()), e::getMessage);
        }
        assertEquals(0100600, mode(precious));
        assertEquals(0, Files.getAttribute(precious, "unix:uid"));
      }
    } finally {
      attacker.interrupt();
      attacker.join();
    }
    assertEquals("precious", Files.readString(precious));
    assertTrue(swaps.get() > 0, "the attacker was never quick enough; started: " + started);
  }

  private static void swapAtSpeed(Path precious, Path path, AtomicInteger swaps) {
    Path bait = path.resolveSibling("bait");
    while (!Thread.currentThread().isInterrupted()) {
      try {
        if ((mode(path) & 0170000) == 0140000) {
          Files.createLink(bait, precious);
          Files.move(bait, path, StandardCopyOption.ATOMIC_MOVE);
          swaps.incrementAndGet();
          Thread.yield();
        }
        Files.deleteIfExists(path);
      } catch (IOException e) {
        // Nothing there, or just taken away.
      }
    }
  }

  /**
   * The directory is a stranger's, whose own process exchanges, as fast as it can, whatever is at
   * the socket's path with a link to a file of root's, or with a directory.
   */
  @ParameterizedTest
  @ValueSource(strings = {"link", "directory"})
  void givesNothingAwayToAProcessThatExchangesFiles(String what) throws Exception {
    assumeRoot();
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/setpriv")), "needs setpriv");
    Files.setAttribute(directory, "unix:mode", 0755);
    Path strangers = Files.createDirectory(directory.resolve("strangers"));
    Path precious = Files.writeString(directory.resolve("precious"), "precious");
    Files.setAttribute(precious, "unix:mode", 0600);
    Path bait = strangers.resolve("bait");
    if (what.equals("link")) {
      Files.createSymbolicLink(bait, precious);
    } else {
      Files.createDirectory(bait);
    }
    Files.setAttribute(strangers, "unix:uid", STRANGER);
    Path path = strangers.resolve("z.sock");
    String renameat2 = System.getProperty("os.arch").equals("amd64") ? "316" : "276";
    String exchange =
        "$SIG{TERM} = sub { print $n + 0; exit }; $| = 1; print \"ready\\n\";"
            + "while (1) { $n++ if syscall($ARGV[2] + 0, -100, $ARGV[0], -100, $ARGV[1], 2) == 0 }";
    Process attacker =
        new ProcessBuilder(
                "setpriv",
                "--reuid=" + STRANGER,
                "--regid=" + STRANGER,
                "--clear-groups",
                "perl",
                "-e",
                exchange,
                path.toString(),
                bait.toString(),
                renameat2)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    OptionalInt stranger = OptionalInt.of(STRANGER);
    Listen listen = new Listen.UnixSocket(path, 0666, stranger, stranger);
    try (BufferedReader said = attacker.inputReader()) {
      assertEquals("ready", said.readLine());
      for (int round = 0; round < 25; round++) {
        try (ZeusdServer server = start(listen)) {
          assertEquals(-1, server.port());
        } catch (ServerStartException e) {
          assertTrue(e.getMessage().contains(path.toString()), e::getMessage);
        }
        assertEquals(0100600, mode(precious));
        assertEquals(0, Files.getAttribute(precious, "unix:uid"));
      }
      // By its handle: the process itself would close its output, too.
      attacker.toHandle().destroy();
      assertTrue(Long.parseLong(said.readLine()) > 0, "the attacker was never quick enough");
    } finally {
      attacker.destroyForcibly().waitFor();
    }
    assertEquals("precious", Files.readString(precious));
  }

  /** The next one waits for the last one, and keeps its socket. */
  @Test
  void oneThatStopsDoesNotDisturbTheNext() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(1)) {
      ZeusdServer current = start(socket);
      for (int round = 0; round < 25; round++) {
        ZeusdServer stopping = current;
        Future<?> stopped = threads.submit(stopping::close);
        Thread.sleep(round % 5);
        current = start(socket);
        assertServes(socket);
        stopped.get();
        assertServes(socket);
      }
      current.close();
    }
    assertNothingLeft();
    assertFalse(Files.exists(socket, NOFOLLOW_LINKS));
  }

  private static void assertRefused(Path path, String message) {
    ServerStartException e = assertThrows(ServerStartException.class, () -> start(path).close());
    assertTrue(e.getMessage().contains(message), e::getMessage);
    assertFalse(e.getMessage().contains("\n"), e::getMessage);
  }

  /** No lock, nor anything else that is of use only while one starts. */
  private void assertNothingLeft() throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      assertEquals(
          List.of(),
          entries
              .map(Path::toString)
              .filter(name -> name.matches(".*(\\.lock|/\\.[^/]*)"))
              .toList());
    }
  }

  @Test
  void makesMissingParents() throws IOException {
    Path deep = directory.resolve("a/b/c/z.sock");
    try (ZeusdServer server = start(deep)) {
      assertServes(deep);
      assertEquals(-1, server.port());
    }
    assertFalse(Files.exists(deep));
  }

  @Test
  void saysWhatIsWrongWithTheParent() throws IOException {
    Path file = Files.writeString(directory.resolve("file"), "");
    assertRefused(file.resolve("z.sock"), file.toString());
  }

  @Test
  void leavesWhatReplacedItsSocketAlone() throws IOException {
    ZeusdServer server = start(socket);
    Files.delete(socket);
    Files.writeString(socket, "precious");
    server.close();
    assertEquals("precious", Files.readString(socket));
    Files.delete(socket);

    ZeusdServer first = start(socket);
    Files.delete(socket);
    try (ZeusdServer second = start(socket)) {
      first.close();
      assertServes(socket);
      assertEquals(-1, second.port());
    }
    assertFalse(Files.exists(socket, NOFOLLOW_LINKS));
  }

  @Test
  void closesTwiceAndWhenTheFileIsGone() throws IOException {
    ZeusdServer server = start(socket);
    Files.delete(socket);
    server.close();
    server.close();
    assertNothingLeft();
  }

  @Test
  void givesTheSocketItsOwner() throws IOException {
    assumeTrue(
        (Integer) Files.getAttribute(directory, "unix:uid") == 0, "giving files away needs root");
    Listen listen =
        new Listen.UnixSocket(socket, 0660, OptionalInt.of(12345), OptionalInt.of(23456));
    try (ZeusdServer server = start(listen)) {
      assertEquals(0140660, mode(socket), server::toString);
      assertEquals(12345, Files.getAttribute(socket, "unix:uid"));
      assertEquals(23456, Files.getAttribute(socket, "unix:gid"));
      assertServes(socket);
    }
    assertFalse(Files.exists(socket, NOFOLLOW_LINKS));
  }

  @Test
  void takesPathsAsLongAsTheSystemDoes() throws IOException {
    int room = 106 - directory.toString().length() - 1;
    assumeTrue(room > 20, "the temporary directory has a long name itself");
    Path longest = directory.resolve("s".repeat(room));
    try (ZeusdServer server = start(longest)) {
      assertServes(longest);
      assertEquals(-1, server.port());
    }
    assertRefused(directory.resolve("s".repeat(room + 1)), "too long");
    assertRefused(directory.resolve("d".repeat(100)).resolve("z.sock"), "too long");
    assertNothingLeft();
  }

  @Test
  void oneOfTwoThatStartAtOnceWins() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      for (int round = 0; round < 25; round++) {
        CyclicBarrier together = new CyclicBarrier(2);
        List<Future<ZeusdServer>> starts = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
          starts.add(
              threads.submit(
                  () -> {
                    together.await();
                    return start(socket);
                  }));
        }
        assertOneWins(starts);
      }
    }
    assertNothingLeft();
  }

  private void assertOneWins(List<Future<ZeusdServer>> starts) throws Exception {
    List<ZeusdServer> winners = new ArrayList<>();
    for (Future<ZeusdServer> attempt : starts) {
      try {
        winners.add(attempt.get());
      } catch (java.util.concurrent.ExecutionException e) {
        assertTrue(e.getCause() instanceof ServerStartException, () -> e.getCause().toString());
        assertTrue(e.getCause().getMessage().contains(socket.toString()), e::getMessage);
      }
    }
    assertEquals(1, winners.size(), "servers at one path");
    assertServes(socket);
    winners.getFirst().close();
    assertFalse(Files.exists(socket, NOFOLLOW_LINKS));
  }

  @Test
  void saysThatAPortIsTaken() {
    try (ZeusdServer first = start(TestServer.loopback())) {
      Listen taken = new Listen.Tcp(new InetSocketAddress("127.0.0.1", first.port()));
      ServerStartException e = assertThrows(ServerStartException.class, () -> start(taken).close());
      assertTrue(e.getMessage().contains(String.valueOf(first.port())), e::getMessage);
      assertTrue(e.getMessage().contains("in use"), e::getMessage);
    }
  }
}
