package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.Endpoint;
import dev.zeusd.client.Lease;
import dev.zeusd.client.LeaseRequest;
import dev.zeusd.client.SettingKey;
import dev.zeusd.client.ZeusdClient;
import jakarta.json.Json;
import jakarta.json.JsonObject;
import jakarta.json.JsonReader;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jline.utils.AttributedString;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code zeusd top} beside a simulated daemon. */
@Timeout(120)
class TopTest {
  private static final long PATIENCE_SECONDS = 40;

  @TempDir private Path dir;
  private Path socket;
  private ZeusdProcess daemon;

  @BeforeEach
  void start() throws Exception {
    socket = dir.resolve("z.sock");
    daemon =
        ZeusdProcess.start(
            dir,
            Map.of(),
            "serve",
            "--simulate",
            "--socket-path",
            socket.toString(),
            "--state-dir",
            dir.resolve("state").toString());
    daemon.awaitListening();
  }

  @AfterEach
  void stop() {
    daemon.close();
  }

  @Test
  void onceIsATableForScripts() {
    Said said = Said.by("top", "--once", "--connect", socket.toString());
    assertEquals(0, said.status(), said.err());
    List<String> lines = said.out().lines().toList();
    assertTrue(
        lines
            .getFirst()
            .matches(Pattern.quote(socket.toString()) + ": 7 devices, [0-9,.]+ W, 0.0 J"),
        said.out());
    assertTrue(lines.get(1).startsWith("DEVICE"), said.out());
    assertTrue(
        lines
            .get(2)
            .matches(
                "GPU 0 +[0-9.]+ W +700 W +0.0 J +\\d+ MHz +\\d+°C +\\d+% - +Simulated GPU +[▁-█]"),
        said.out());
    assertTrue(lines.get(6).matches("CPU 0 +[0-9.]+ W +- +0.0 J +- +- +- - .*"), said.out());
    assertTrue(lines.get(8).startsWith("DRAM 0 "), said.out());
    assertEquals(9, lines.size(), said.out());
  }

  @Test
  void jsonHasWhoHoldsALease() throws IOException {
    Path none = dir.resolve("none.sock");
    try (ZeusdClient client = ZeusdClient.open(ClientConfig.of(new Endpoint.Unix(socket)));
        Lease lease = client.lease(LeaseRequest.of(List.of(2), Set.of(SettingKey.POWER_LIMIT)))) {
      lease.settings().setPowerLimit(List.of(2), 333_000);
      Said said = Said.by("top", "--once", "--json", "--connect", socket + "," + none);
      assertEquals(0, said.status(), said.err());
      assertTrue(said.err().contains("none.sock: there is no such socket"), said.err());
      try (JsonReader reader = Json.createReader(new StringReader(said.out()))) {
        List<JsonObject> daemons =
            reader.readObject().getJsonArray("daemons").getValuesAs(JsonObject.class);
        JsonObject gpu = daemons.getFirst().getJsonArray("devices").getJsonObject(2);
        assertEquals("gpu", gpu.getString("kind"));
        assertEquals(333, gpu.getJsonNumber("power_limit_w").intValueExact());
        assertEquals(client.leases().getFirst().holder(), gpu.getString("lease_holder"));
        assertTrue(gpu.getJsonNumber("power_w").doubleValue() > 0);
        assertTrue(daemons.get(1).getString("error").contains("there is no such socket"));
      }
    }
    assertEquals(1, Said.by("top", "--once", "--connect", none.toString()).status());
  }

  /** As when what reads it has gone, or a disk is full. */
  @Test
  void itEndsWhenNothingTakesItsLines() throws Exception {
    List<String> toNowhere = List.of("sh", "-c", "exec \"$@\" >/dev/full", "sh");
    try (ZeusdProcess top =
        ZeusdProcess.start(
            dir, Map.of(), toNowhere, ClassPath.OWN, "top", "--json", "--connect", "" + socket)) {
      assertEquals(1, top.awaitExit(), top::toString);
      assertEquals("error: cannot write to stdout: it is closed, or its disk is full\n", top.err());
    }
  }

  @Test
  void withoutATerminalItSaysWhatElseThereIs() {
    Said said = Said.by("top", "--connect", socket.toString());
    assertEquals(2, said.status());
    assertTrue(said.err().contains("use --once or --json"), said.err());
  }

  /** As after a reload of the driver, or where a GPU was exchanged. */
  @Test
  void energyIsOfOneGpuAndDoesNotFallWhenItsCounterBeginsAnew() throws Exception {
    AtomicReference<String> uuid = new AtomicReference<>("GPU-a");
    AtomicLong energyMj = new AtomicLong(1_000_000);
    try (AnsweringDaemon answering =
            new AnsweringDaemon(
                path ->
                    switch (path) {
                      case "/discover" ->
                          "{'gpus':[{'id':0,'name':'A','uuid':'%s'}],'cpus':[],".formatted(uuid)
                              + "'enabled_api_groups':['gpu-read'],'auth_required':false}";
                      case "/gpu/get_power" -> "{'timestamp_ms':1,'power_mw':{'0':70000}}";
                      case "/gpu/get_cumulative_energy" ->
                          "{'0':{'energy_mj':%s}}".formatted(energyMj);
                      default -> "{}";
                    });
        DaemonWatch watch = new DaemonWatch(ClientConfig.of(answering.endpoint()), 1)) {
      assertEquals(0, energyAfter(watch, energyMj, 1_000_000));
      assertEquals(50, energyAfter(watch, energyMj, 1_050_000));
      assertEquals(50, energyAfter(watch, energyMj, 3_000));
      assertEquals(57, energyAfter(watch, energyMj, 10_000));
      assertEquals(4, watch.state().devices().getFirst().historyW().length);
      uuid.set("GPU-b");
      assertEquals(0, energyAfter(watch, energyMj, 900_000_000), "it is another GPU's counter");
      assertEquals(1, watch.state().devices().getFirst().historyW().length);
      assertEquals(2, energyAfter(watch, energyMj, 900_002_000));
    }
  }

  private static double energyAfter(DaemonWatch watch, AtomicLong energyMj, long nextMj) {
    energyMj.set(nextMj);
    watch.askOnce();
    assertEquals(Optional.empty(), watch.state().problem());
    return watch.state().devices().getFirst().energyJ().orElseThrow();
  }

  /** However many daemons there are, and however small the screen, or long and wide the names. */
  @Test
  void whateverThereIsFitsOnTheScreen() {
    for (int daemons : new int[] {0, 1, 3, 40}) {
      List<DaemonState> states = IntStream.range(0, daemons).mapToObj(TopTest::oddState).toList();
      for (int height : new int[] {1, 2, 3, 5, 24, 60}) {
        for (int width : new int[] {1, 10, 20, 80, 120, 300}) {
          List<AttributedString> lines =
              TopScreen.lines(states, TopTable.Order.POWER, width, height);
          assertTrue(lines.size() <= height, lines::toString);
          lines.forEach(line -> assertEquals(width, line.columnLength(), line::toString));
        }
      }
    }
    List<DaemonState> many = IntStream.range(0, 40).mapToObj(TopTest::oddState).toList();
    List<AttributedString> lines = TopScreen.lines(many, TopTable.Order.DEVICE, 80, 24);
    assertEquals(24, lines.size());
    assertTrue(lines.getFirst().toString().contains("is lost"), lines::toString);
    assertTrue(lines.getLast().toString().startsWith("29 more daemons; 109 more devices; q quit"));
  }

  /** One of seven is lost. */
  private static DaemonState oddState(int n) {
    String daemon = "host" + n + ".example:4938";
    Optional<String> problem =
        n % 7 == 6
            ? Optional.of("the daemon at \u001b[31m" + daemon + " is lost")
            : Optional.empty();
    return new DaemonState(
        daemon, IntStream.range(0, 3).mapToObj(id -> oddDevice(daemon, id)).toList(), problem);
  }

  private static DaemonState.Device oddDevice(String daemon, int id) {
    return new DaemonState.Device(
        daemon,
        DaemonState.Kind.GPU,
        id,
        "\u9ad8\u6027\u80fd\ud83d\udd25 \u202e\u009b31m".repeat(10),
        id == 0 ? OptionalDouble.empty() : OptionalDouble.of(1e12),
        OptionalDouble.of(id * 1e12),
        OptionalDouble.of(1e15),
        OptionalInt.of(Integer.MAX_VALUE),
        OptionalInt.of(-40),
        OptionalInt.empty(),
        false,
        "user \u738b\u5c0f\u660e\u738b\u5c0f\u660e\u738b\u5c0f\u660e",
        new double[] {0, 1e12, Double.MAX_VALUE, 0, 5});
  }

  /** In a real terminal, by tmux: drawn, sorted, resized, and left as it was. */
  @Test
  void aTerminalIsDrawnAndGivenBack() throws Exception {
    Assumptions.assumeTrue(Path.of("/usr/bin/tmux").toFile().canExecute(), "no tmux");
    tmux("new-session", "-d", "-x", "80", "-y", "24", inATerminal(""));
    try {
      String small = await(screen -> screen.contains("GPU 3") && screen.contains("q quit"));
      assertTrue(small.lines().allMatch(line -> line.length() <= 80), small);
      assertTrue(small.lines().toList().get(1).startsWith("DEVICE"), small);
      assertTrue(small.lines().toList().get(2).startsWith("GPU 0"), small);
      tmux("resize-window", "-x", "160", "-y", "40");
      await(screen -> screen.contains("Simulated GPU"));
      tmux("send-keys", "p");
      // By power: of the simulated GPUs, one idles.
      await(screen -> !screen.lines().toList().get(2).startsWith("GPU 2"));
      tmux("send-keys", "q");
      await(screen -> screen.contains("before\nended 0\n icanon"));
    } finally {
      tmux("kill-server");
    }
  }

  @Test
  void aTerminalThatCannotMoveItsCursorIsNamed() throws Exception {
    Assumptions.assumeTrue(Path.of("/usr/bin/tmux").toFile().canExecute(), "no tmux");
    tmux("new-session", "-d", "-x", "120", "-y", "24", inATerminal("TERM=dumb"));
    try {
      String screen = await(each -> each.contains("ended "));
      assertTrue(
          screen.startsWith(
              """
              before
              error: this terminal cannot move its cursor (TERM is dumb); use --once or --json
              ended 1
              """),
          screen);
    } finally {
      tmux("kill-server");
    }
  }

  /** {@code zeusd top} for a shell, which says what was before and comes after it. */
  private String inATerminal(String environment) {
    return String.join(
        " ",
        "echo before;",
        environment,
        ProcessHandle.current().info().command().orElseThrow(),
        "--enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '"
            + ClassPath.OWN
            + "'",
        Zeusd.class.getName(),
        "top --connect",
        socket.toString() + "; echo ended $?; stty -a | grep -o ' icanon'; cat");
  }

  private String await(Predicate<String> isAsWanted) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (true) {
      String screen = tmux("capture-pane", "-p");
      if (isAsWanted.test(screen)) {
        return screen;
      }
      assertTrue(System.nanoTime() < deadline, screen);
      Thread.sleep(100);
    }
  }

  private String tmux(String... args) throws Exception {
    List<String> command =
        new java.util.ArrayList<>(List.of("tmux", "-S", dir.resolve("tmux").toString()));
    command.addAll(List.of(args));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said =
        new String(
            process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
    process.waitFor();
    return said;
  }
}
