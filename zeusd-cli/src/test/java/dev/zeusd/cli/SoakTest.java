package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.server.fuzz.HostileClient;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The daemon as it is shipped, under load, killed, short of files, and out of disk.
 *
 * <p>{@code mvn verify -Psoak -Dsoak.minutes=60} lasts that long and has thousands of clients; the
 * short form is the same with small numbers. {@code -Dzeusd.command} chooses the daemon.
 */
class SoakTest {
  private static final int MINUTES = Integer.getInteger("soak.minutes", 0);
  private static final boolean LONG = MINUTES > 0;
  private static final int SUBSCRIBERS = LONG ? 2000 : 200;
  private static final int REQUESTERS = LONG ? 200 : 20;
  private static final Duration LOAD = LONG ? minutes(0.47) : Duration.ofSeconds(3);
  private static final Duration RESTARTS_LIMIT = LONG ? minutes(0.2) : Duration.ofMinutes(2);
  private static final int RESTARTS = LONG ? 100 : 4;
  private static final int RIVALS = LONG ? 12 : 4;
  private static final int STOPS = LONG ? 5 : 1;

  /** The class path of a test has a few more jars to hold open than an image. */
  private static final int FEW_FILES =
      ZeusdProcess.IMAGE.isEmpty() ? 50 + ClassPath.OWN.split(":").length : 80;

  private final Random random = new Random();

  @TempDir private Path directory;

  private Path socket;
  private FakeNvml nvml;

  private static Duration minutes(double part) {
    return Duration.ofSeconds((long) (60 * MINUTES * part));
  }

  @BeforeEach
  void setUp() {
    socket = directory.resolve("run/zeusd.sock");
    nvml = FakeNvml.create(directory.resolve("nvml"));
  }

  private ZeusdProcess start(String shell) throws IOException {
    return start(shell, "--socket-path", socket.toString());
  }

  private ZeusdProcess start(String shell, String... where) throws IOException {
    List<String> args = new ArrayList<>(List.of("serve", "--enable", "gpu-read"));
    args.addAll(List.of(where));
    return ZeusdProcess.startShipped(
        directory, nvml.environment(), shell, args.toArray(String[]::new));
  }

  private SocketAddress unix() {
    return UnixDomainSocketAddress.of(socket);
  }

  private static void assertServes(SocketAddress address) throws IOException {
    try (RawConnection connection = RawConnection.open(address)) {
      connection
          .get("/gpu/get_power_limit?gpu_ids=3")
          .assertOk("{\"3\":{\"power_limit_mw\":300000}}");
    }
  }

  private record Resources(long openFiles, long threads, long residentMb) {
    static Resources of(ZeusdProcess zeusd) throws IOException {
      return new Resources(
          zeusd.openFiles(), zeusd.status("Threads"), zeusd.status("VmRSS") / 1024);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"uds", "tcp"})
  void aCrowdLosesNothingWhileOthersMisbehave(String mode) throws Exception {
    ZeusdProcess zeusd = startListening(mode, 0);
    try {
      int port = mode.equals("uds") ? 0 : zeusd.awaitPort();
      SocketAddress address =
          mode.equals("uds") ? unix() : new InetSocketAddress("127.0.0.1", port);
      assertServes(address);
      Resources idle = Resources.of(zeusd);
      HostileClient hostile = new HostileClient(address, random.nextLong());
      try (Crowd crowd = new Crowd(address, nvml, SUBSCRIBERS, REQUESTERS)) {
        crowd.awaitValues(SUBSCRIBERS, 5);
        Resources begin = Resources.of(zeusd);
        misbehave(hostile, address, System.nanoTime() + LOAD.toNanos());
        crowd.awaitValues(SUBSCRIBERS, 5);
        Resources end = Resources.of(zeusd);
        report("%s: %s, %d hostile requests", mode, crowd.figures(), hostile.requests());
        report("%s: idle %s, with the crowd %s, at its end %s", mode, idle, begin, end);
        assertTrue(end.openFiles() < begin.openFiles() + 30, "files: " + begin + end);
        assertTrue(end.threads() < begin.threads() + 10, "threads: " + begin + end);
      }
      awaitOpenFiles(zeusd, idle.openFiles() + 10);
      if (LONG) {
        awaitMemory(zeusd, idle.residentMb() + 30);
      }
      report("%s: without the crowd %s", mode, Resources.of(zeusd));
      try (Crowd crowd = new Crowd(address, nvml, SUBSCRIBERS, REQUESTERS, true)) {
        for (int i = 0; i < STOPS; i++) {
          crowd.awaitValues(SUBSCRIBERS, 3);
          stopUnderLoad(zeusd);
          zeusd = startListening(mode, port);
        }
        crowd.awaitValues(SUBSCRIBERS, 3);
      }
    } finally {
      zeusd.close();
    }
  }

  private ZeusdProcess startListening(String mode, int port) throws Exception {
    ZeusdProcess zeusd =
        mode.equals("uds")
            ? start("")
            : start("", "--mode", "tcp", "--tcp-bind-address", "127.0.0.1:" + port);
    zeusd.awaitListening();
    return zeusd;
  }

  private static void stopUnderLoad(ZeusdProcess zeusd) throws Exception {
    long signalNanos = System.nanoTime();
    zeusd.signal("TERM");
    assertEquals(0, zeusd.awaitExit(), zeusd::toString);
    long tookMs = (System.nanoTime() - signalNanos) / 1_000_000;
    report("SIGTERM under load took %d ms", tookMs);
    // A second is promised; the rest is for a machine that does other things, too.
    assertTrue(tookMs < 10_000, () -> "took " + tookMs + " ms");
    assertLogIsQuiet(zeusd);
  }

  private static void report(String format, Object... args) {
    System.out.println("soak: " + format.formatted(args));
  }

  /**
   * Hostile requests, with the dead weight of connections that are never used, and a GPU that is
   * slow at times.
   */
  private void misbehave(HostileClient hostile, SocketAddress address, long end)
      throws IOException, InterruptedException {
    List<RawConnection> idle = new ArrayList<>();
    for (long round = 0; System.nanoTime() < end; round++) {
      if (round % 50 == 0) {
        idle.add(RawConnection.open(address).send("GET /time HTTP/1.1\r\nX-Never: ended"));
      }
      if (idle.size() > 20) {
        idle.removeFirst().close();
      }
      nvml.gpu(2).delay(Call.GET_FIELD_VALUES, Duration.ofMillis(round % 1000 < 100 ? 300 : 0));
      hostile.round(round);
      Thread.sleep(5);
    }
    nvml.gpu(2).delay(Call.GET_FIELD_VALUES, Duration.ZERO);
    for (RawConnection connection : idle) {
      connection.close();
    }
  }

  private static void assertLogIsQuiet(ZeusdProcess zeusd) throws IOException {
    List<String> loud =
        zeusd
            .err()
            .lines()
            .filter(line -> !line.matches("\\S+Z (info|warn TCP|warn this process may open) .*"))
            .toList();
    assertEquals(List.of(), loud);
  }

  @Test
  void killedAtAnyMomentItComesBack() throws Exception {
    long end = System.nanoTime() + RESTARTS_LIMIT.toNanos();
    int restarts = 0;
    ZeusdProcess zeusd = start("");
    try (Crowd crowd = new Crowd(unix(), nvml, SUBSCRIBERS / 4, REQUESTERS, true)) {
      zeusd.awaitListening();
      while (restarts < RESTARTS && System.nanoTime() < end) {
        // At all moments of its life: some while it still starts, some when the crowd is back.
        Thread.sleep(random.nextInt(restarts % 2 == 0 ? 1000 : 3000));
        zeusd.signal("KILL");
        zeusd.awaitExit();
        zeusd.close();
        restarts++;
        zeusd = start("");
        if (restarts % 3 == 0) {
          zeusd.awaitListening();
          assertServes(unix());
          // So that at least the next kill takes a connection from somebody.
          crowd.awaitValues(1, 1);
        }
        crowd.figures();
      }
      crowd.awaitValues(SUBSCRIBERS / 4, 5);
      report("survived %d times kill -9, %s", restarts, crowd.figures());
      assertTrue(crowd.figures().reconnects() > 0);
      stopUnderLoad(zeusd);
    } finally {
      zeusd.close();
    }
    try (Stream<Path> left = Files.list(socket.getParent())) {
      assertEquals(List.of(), left.map(Path::toString).sorted().toList());
    }
  }

  @Test
  void oneOfManyThatStartAtOnceWins() throws Exception {
    try (ZeusdProcess killed = start("")) {
      killed.awaitListening();
      killed.signal("KILL");
      killed.awaitExit();
    }
    assertTrue(Files.exists(socket), "a killed daemon leaves its socket");
    List<ZeusdProcess> rivals = new ArrayList<>();
    try {
      for (int i = 0; i < RIVALS; i++) {
        rivals.add(start(""));
      }
      await(
          "one is left",
          Duration.ofSeconds(60),
          () -> rivals.stream().filter(ZeusdProcess::isAlive).count() <= 1);
      for (ZeusdProcess zeusd : rivals) {
        if (zeusd.isAlive()) {
          assertEquals(socket.toString(), zeusd.awaitListening());
        } else {
          zeusd.assertFails(socket.toString());
        }
      }
      assertServes(unix());
    } finally {
      rivals.forEach(ZeusdProcess::close);
    }
  }

  @Test
  void withoutFilesToOpenItServesWhomItCan() throws Exception {
    try (ZeusdProcess zeusd = start("ulimit -n %d;".formatted(FEW_FILES))) {
      zeusd.awaitListening();
      assertTrue(zeusd.err().contains("may open only " + FEW_FILES + " files"), zeusd::toString);
      long before = zeusd.openFiles();
      List<RawConnection> clients = new ArrayList<>();
      for (int i = 0; i < 500; i++) {
        clients.add(RawConnection.open(unix()));
        assertEquals(200, clients.getLast().get("/time").status());
      }
      clients.getFirst().assertEnd();
      for (RawConnection client : clients) {
        client.close();
      }
      try (Crowd crowd = new Crowd(unix(), nvml, 2, 1)) {
        crowd.awaitValues(2, 5);
      }
      awaitOpenFiles(zeusd, before + 10);
    }
  }

  @Test
  void filesThatRunOutUnderWayAreNotTheEnd() throws Exception {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/prlimit")), "no prlimit (util-linux)");
    try (ZeusdProcess zeusd = start("")) {
      zeusd.awaitListening();
      List<RawConnection> idle = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        idle.add(RawConnection.open(unix()));
        idle.getLast().get("/time");
      }
      try (Crowd crowd = new Crowd(unix(), nvml, 50, 0)) {
        crowd.awaitValues(50, 3);
        // So that no class has to be loaded later on; from the shipped jars, that takes no file.
        assertServes(unix());
        limitFiles(zeusd, zeusd.openFiles() - 2);
        for (int i = 0; i < 30; i++) {
          assertServes(unix());
        }
        crowd.awaitValues(50, 3);
        limitFiles(zeusd, 1024);
        assertServes(unix());
      }
      for (RawConnection connection : idle) {
        connection.close();
      }
      assertTrue(zeusd.err().contains("no more files can be opened"), zeusd::toString);
    }
  }

  @Test
  void aSmallHeapIsNeverFull() throws Exception {
    Map<String, String> environment = new HashMap<>(nvml.environment());
    // Stronger than the options on the command line.
    environment.put("_JAVA_OPTIONS", "-Xmx24m");
    try (ZeusdProcess zeusd =
        ZeusdProcess.startShipped(
            directory, environment, "", "serve", "--enable=gpu-read", "--socket-path=" + socket)) {
      zeusd.awaitListening();
      assertTrue(zeusd.err().contains("the heap may only grow to 2"), zeusd::toString);
      long before = zeusd.openFiles();
      List<RawConnection> clients = new ArrayList<>();
      for (int i = 0; i < 800; i++) {
        clients.add(RawConnection.open(unix()));
        clients.getLast().send(RawConnection.request("GET", "/gpu/stream_power"));
      }
      assertServes(unix());
      for (RawConnection client : clients) {
        client.close();
      }
      awaitOpenFiles(zeusd, before + 10);
      try (Crowd crowd = new Crowd(unix(), nvml, 100, 10)) {
        crowd.awaitValues(100, 3);
      }
    }
  }

  private static void limitFiles(ZeusdProcess zeusd, long most) throws Exception {
    Process prlimit =
        new ProcessBuilder("prlimit", "--pid=" + zeusd.pid(), "--nofile=" + most + ":").start();
    assertEquals(0, prlimit.waitFor());
  }

  /** The daemon gives back what it does not need every few minutes. */
  private static void awaitMemory(ZeusdProcess zeusd, long mostMb) throws Exception {
    await(
        "memory comes back",
        Duration.ofMinutes(10),
        () -> Resources.of(zeusd).residentMb() <= mostMb);
  }

  private static void awaitOpenFiles(ZeusdProcess zeusd, long most) throws Exception {
    await("files are closed", Duration.ofSeconds(20), () -> zeusd.openFiles() <= most);
  }

  /** The log does not say so here, and the file is there a moment before. */
  private boolean isListening() {
    try (SocketChannel client = SocketChannel.open(unix())) {
      return client.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  private static void await(String what, Duration limit, Callable<Boolean> condition)
      throws Exception {
    long end = System.nanoTime() + limit.toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, () -> "never: " + what);
      Thread.sleep(20);
    }
  }

  @Test
  void aFullDiskForItsLogStopsNothing() throws Exception {
    try (ZeusdProcess zeusd = start("exec 2>/dev/full;")) {
      await(
          "it starts",
          Duration.ofSeconds(30),
          () -> {
            assertTrue(zeusd.isAlive(), "it does not start");
            return isListening();
          });
      try (Crowd crowd = new Crowd(unix(), nvml, 20, 0)) {
        crowd.awaitValues(20, 3);
        for (int i = 0; i < 10; i++) {
          // Each time there is something to log.
          nvml.gpu(2).powerError(999);
          Thread.sleep(100);
          nvml.gpu(2).powerError(0);
          crowd.awaitValues(20, 1);
        }
      }
      assertServes(unix());
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit());
      assertFalse(Files.exists(socket));
    }
  }
}
