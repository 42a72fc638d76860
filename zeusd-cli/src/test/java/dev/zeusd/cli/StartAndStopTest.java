package dev.zeusd.cli;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.zeusd.server.raw.RawConnection;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Daemons that are stopped while they start, or while the next one does. */
class StartAndStopTest {
  private static final long SEED = Long.getLong("start.seed", new Random().nextLong());

  /** The JVM's own: SIGTERM before any line of ours has run. */
  private static final int ENDED_BY_THE_JVM = 143;

  @TempDir private Path directory;

  private final Random random = new Random(SEED);
  private Path logs;
  private Path socket;

  @BeforeEach
  void makeDirectory() throws IOException {
    logs = Files.createDirectory(directory.resolve("logs"));
    socket = Files.createDirectory(directory.resolve("run")).resolve("z.sock");
  }

  private ZeusdProcess start() throws IOException {
    return ZeusdProcess.start(
        logs, Map.of(), "serve", "--simulate", "--log-level=debug", "--socket-path=" + socket);
  }

  private void assertNothingLeft() throws IOException {
    try (Stream<Path> left = Files.list(socket.getParent())) {
      assertEquals(List.of(), left.toList(), "start.seed=" + SEED);
    }
  }

  private void assertServes() throws IOException {
    try (RawConnection connection = RawConnection.open(UnixDomainSocketAddress.of(socket))) {
      assertEquals(200, connection.get("/time").status());
    }
  }

  @Test
  void aStartCanBeStoppedAtAnyMoment() throws Exception {
    long startMillis = millisToListen();
    for (int round = 0; round < 16; round++) {
      try (ZeusdProcess zeusd = start()) {
        Thread.sleep(random.nextLong(startMillis * 5 / 4));
        zeusd.signal("TERM");
        int status = zeusd.awaitExit();
        boolean inMain = zeusd.err().contains("info");
        // There are moments in which the JVM of Java 25 takes the signal for a fault of its own: it
        // says so on stdout.
        boolean byTheJvm =
            status == ENDED_BY_THE_JVM
                || status == 1
                    && zeusd.out().startsWith("Error occurred during initialization of VM");
        assertTrue(
            status == 0 || byTheJvm && !inMain,
            () -> status + ", start.seed=" + SEED + ": " + zeusd);
        assertFalse(zeusd.err().contains("error"), zeusd::toString);
      }
      assertNothingLeft();
    }
  }

  /** While it makes its socket, which is the step that may leave something behind. */
  @Test
  void aStartCanBeStoppedWhileItBinds() throws Exception {
    for (int round = 0; round < 8; round++) {
      try (ZeusdProcess zeusd = start()) {
        Path lock = Path.of(socket + ".lock");
        while (zeusd.isAlive() && Files.notExists(lock) && Files.notExists(socket)) {
          Thread.onSpinWait();
        }
        Thread.sleep(0, random.nextInt(1_000_000));
        zeusd.signal("TERM");
        assertEquals(0, zeusd.awaitExit(), zeusd::toString);
        assertFalse(zeusd.err().contains("error"), zeusd::toString);
      }
      assertNothingLeft();
    }
  }

  private static final String NOTIFIED =
      """
      import socket, sys
      s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
      s.bind(sys.argv[1].replace("@", "\\0"))
      s.settimeout(60)
      print("bound", flush=True)
      print(s.recv(100).decode(), flush=True)
      """;

  /** By its path, or a name that is no file's. */
  @ParameterizedTest
  @ValueSource(strings = {"", "@"})
  void aServiceManagerIsToldWhenItListensEverywhere(String start) throws Exception {
    String notified = start + directory.resolve("notify");
    Process manager = new ProcessBuilder("python3", "-c", NOTIFIED, notified).start();
    try (BufferedReader said = manager.inputReader()) {
      assertEquals("bound", said.readLine());
      try (ZeusdProcess zeusd =
          ZeusdProcess.start(
              logs,
              Map.of("NOTIFY_SOCKET", notified, "ZEUSD_SOCKET", socket.toString()),
              "serve",
              "--simulate",
              "--mode=uds,tcp",
              "--tcp-bind-address=127.0.0.1:0")) {
        assertEquals("READY=1", said.readLine(), zeusd::toString);
        assertServes();
        String port = zeusd.awaitErr(Pattern.compile("127\\.0\\.0\\.1:(\\d+)")).group(1);
        InetSocketAddress tcp = new InetSocketAddress("127.0.0.1", Integer.parseInt(port));
        try (RawConnection connection = RawConnection.open(tcp)) {
          assertEquals(200, connection.get("/time").status());
        }
      }
    } finally {
      manager.destroyForcibly();
    }
  }

  private long millisToListen() throws Exception {
    long begin = System.nanoTime();
    try (ZeusdProcess zeusd = start()) {
      zeusd.awaitListening();
      long millis = (System.nanoTime() - begin) / 1_000_000;
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit());
      assertTrue(zeusd.err().contains("info stopped"), zeusd::toString);
      return millis;
    }
  }

  @Test
  void oneThatStopsDoesNotDisturbTheNext() throws Exception {
    ZeusdProcess current = start();
    try {
      current.awaitListening();
      for (int round = 0; round < 8; round++) {
        ZeusdProcess stopping = current;
        stopping.signal("TERM");
        Thread.sleep(random.nextInt(100));
        current = start();
        current.awaitListening();
        assertEquals(0, stopping.awaitExit(), stopping::toString);
        stopping.close();
        assertTrue(Files.exists(socket, NOFOLLOW_LINKS), "start.seed=" + SEED);
        assertServes();
      }
      current.signal("TERM");
      assertEquals(0, current.awaitExit());
    } finally {
      current.close();
    }
    assertNothingLeft();
  }

  @Test
  void aHangUpEndsNothing() throws Exception {
    assumeFalse(ZeusdProcess.ignoresSignal(1), "SIGHUP is ignored, as nohup does");
    try (ZeusdProcess zeusd = start()) {
      zeusd.awaitListening();
      for (int i = 0; i < 3; i++) {
        zeusd.signal("HUP");
      }
      zeusd.awaitErr(Pattern.compile("info SIGHUP: read again: nothing new"));
      assertServes();
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit(), zeusd::toString);
    }
    assertNothingLeft();
  }
}
