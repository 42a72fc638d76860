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
      for (int i = 0; i < 60; i++) {
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

  /** Everything in the directory is for its owner only, and nothing but the socket is a socket. */
  private void look(ConcurrentLinkedQueue<String> tooWide, AtomicInteger seen) {
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        int mode = mode(entry);
        seen.incrementAndGet();
        boolean temporary = entry.getFileName().toString().startsWith(".z");
        boolean rightType = (mode & 0170000) == (temporary ? 0040000 : mode & 0170000);
        if ((mode & 0077) != 0 || !rightType) {
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
  void removesWhatAKilledDaemonLeftOfItsStart() throws IOException {
    Path bindPath = bindPathOfAStart();
    Files.createDirectory(bindPath.getParent());
    leaveStaleSocket(bindPath);
    try (ZeusdServer server = start(socket)) {
      assertServes(socket);
      assertEquals(-1, server.port());
      assertNothingLeft();
    }
  }

  @Test
  void removesNothingThatALinkLeadsTo() throws IOException {
    Path bindDirectory = bindPathOfAStart().getParent();
    Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
    Path precious = Files.writeString(elsewhere.resolve("s"), "precious");
    Files.createSymbolicLink(bindDirectory, elsewhere);
    try (ZeusdServer server = start(socket)) {
      assertServes(socket);
      assertEquals(-1, server.port());
    }
    assertEquals("precious", Files.readString(precious));
  }

  private Path bindPathOfAStart() {
    try (UnixSocketFile start = UnixSocketFile.prepare(TestServer.unixSocket(socket, 0600))) {
      return start.bindPath();
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

  /** In a directory where others may write, somebody could lay it there to have a file made. */
  @Test
  void followsNoLinkAtItsLockFile() throws IOException {
    Path precious = Files.writeString(directory.resolve("precious"), "precious");
    for (Path target : List.of(precious, directory.resolve("nothing"))) {
      Path link = Files.createSymbolicLink(directory.resolve("zeusd.sock.lock"), target);
      assertRefused(socket, link + " is a symbolic link");
      assertEquals(target, Files.readSymbolicLink(link));
      Files.delete(link);
    }
    assertEquals("precious", Files.readString(precious));
    assertFalse(Files.exists(directory.resolve("nothing")));
    assertNothingLeft();
  }

  private static void assertRefused(Path path, String message) {
    ServerStartException e = assertThrows(ServerStartException.class, () -> start(path).close());
    assertTrue(e.getMessage().contains(message), e::getMessage);
    assertFalse(e.getMessage().contains("\n"), e::getMessage);
  }

  /** No directory that a socket was bound in. */
  private void assertNothingLeft() throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      assertEquals(
          List.of(),
          entries.filter(entry -> entry.getFileName().toString().startsWith(".z")).toList());
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
