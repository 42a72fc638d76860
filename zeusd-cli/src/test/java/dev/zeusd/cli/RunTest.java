package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.Endpoint;
import dev.zeusd.client.GpuPowerSample;
import dev.zeusd.client.PowerSamples;
import dev.zeusd.client.ZeusdClient;
import dev.zeusd.client.ZeusdException;
import dev.zeusd.core.Await;
import jakarta.json.Json;
import jakarta.json.JsonObject;
import jakarta.json.JsonReader;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code zeusd run} beside a simulated daemon, each in a process of its own. */
@Timeout(120)
class RunTest {
  private static final long PATIENCE_SECONDS = 30;
  private static final long DEFAULT_LIMIT_MW = 700_000;
  private static final long QUIT_USR1_USR2_PIPE = 0x1a04;

  @TempDir private Path dir;
  private Path socket;
  private ZeusdProcess daemon;
  private ZeusdClient client;

  @BeforeEach
  void start() throws Exception {
    socket = dir.resolve("z.sock");
    daemon = serve();
    client = ZeusdClient.open(ClientConfig.of(new Endpoint.Unix(socket)));
  }

  private ZeusdProcess serve() throws Exception {
    ZeusdProcess process =
        ZeusdProcess.start(
            dir,
            Map.of(),
            "serve",
            "--simulate",
            "--gpu-power-poll-hz",
            "100",
            "--socket-path",
            socket.toString(),
            "--state-dir",
            dir.resolve("state").toString());
    process.awaitListening();
    return process;
  }

  @AfterEach
  void stop() {
    client.close();
    daemon.close();
  }

  private ZeusdProcess run(String... args) throws IOException {
    return run(List.of(), args);
  }

  private ZeusdProcess run(List<String> prefix, String... args) throws IOException {
    List<String> all = new ArrayList<>(List.of("run"));
    all.addAll(List.of(args));
    return ZeusdProcess.start(
        dir,
        Map.of("ZEUSD_SOCK_PATH", socket.toString()),
        prefix,
        ClassPath.OWN,
        all.toArray(String[]::new));
  }

  private static JsonObject read(Path file) throws IOException {
    try (JsonReader reader = Json.createReader(new StringReader(Files.readString(file)))) {
      return reader.readObject();
    }
  }

  private void awaitLimitMw(int gpu, long limitMw) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (client.powerLimitMw(gpu).get(gpu) != limitMw) {
      assertTrue(System.nanoTime() < deadline, () -> "GPU " + gpu + " is not set: " + daemon);
      Thread.sleep(20);
    }
  }

  private static void awaitFile(Path file) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (!Files.exists(file)) {
      assertTrue(System.nanoTime() < deadline, () -> "no " + file);
      Thread.sleep(10);
    }
  }

  @Test
  void theCommandIsAsItWouldBeWithoutIt() throws Exception {
    Path json = Files.writeString(dir.resolve("report.json"), "old, and longer than nothing");
    try (ZeusdProcess run =
        run(
            "--gpus",
            "0,2",
            "--json",
            json.toString(),
            "sh",
            "-c",
            "echo \"$@\"; exit 7",
            "x",
            "--gpus",
            "--",
            "a b")) {
      assertEquals(7, run.awaitExit(), run::toString);
      assertEquals("--gpus -- a b\n", run.out());
      String said = run.err();
      for (String line :
          List.of(
              " J +[0-9,.]+ W   GPU 0  Simulated GPU\n",
              " J +[0-9,.]+ W   GPU 2  Simulated GPU\n",
              " J +[0-9,.]+ W   CPU 0\n",
              " J +[0-9,.]+ W   DRAM 0\n",
              " J +[0-9,.]+ W   CPU 1\n",
              " J +[0-9,.]+ W   in all\n",
              " [0-9.]+ s elapsed, exit status 7\n")) {
        assertTrue(
            Pattern.compile(line).matcher(said).find(), () -> "no '" + line + "' in " + said);
      }
      assertFalse(said.contains("GPU 1"), said);
      assertFalse(said.contains("DRAM 1"), said);
    }
    JsonObject report = read(json);
    assertEquals("sh", report.getJsonArray("command").getString(0));
    assertEquals(7, report.getInt("exit_status"));
    assertEquals(java.util.Set.of("0", "2"), report.getJsonObject("gpus").keySet());
    assertTrue(report.getJsonObject("cpus").getJsonObject("1").isNull("dram_energy_uj"));
    double parts = 0;
    for (var gpu : report.getJsonObject("gpus").values()) {
      parts += gpu.asJsonObject().getJsonNumber("energy_mj").longValue() / 1e3;
    }
    for (var cpu : report.getJsonObject("cpus").values()) {
      parts += cpu.asJsonObject().getJsonNumber("cpu_energy_uj").longValue() / 1e6;
      if (!cpu.asJsonObject().isNull("dram_energy_uj")) {
        parts += cpu.asJsonObject().getJsonNumber("dram_energy_uj").longValue() / 1e6;
      }
    }
    assertEquals(parts, report.getJsonNumber("total_j").doubleValue(), 0.001);
  }

  /** 0.5 % on a quiet machine; here readings may come late. */
  @Test
  void itAgreesWithTheStream() throws Exception {
    Path json = dir.resolve("report.json");
    List<GpuPowerSample> samples = new CopyOnWriteArrayList<>();
    PowerSamples<GpuPowerSample> stream = client.streamGpuPower(1);
    Thread reader = Thread.ofPlatform().start(() -> stream.forEach(samples::add));
    try (ZeusdProcess run = run("--json", json.toString(), "--", "sleep", "2")) {
      assertEquals(0, run.awaitExit(), run::toString);
    }
    JsonObject report = read(json);
    double fromMs = report.getJsonNumber("started_ms").doubleValue();
    double toMs = fromMs + report.getJsonNumber("measured_seconds").doubleValue() * 1000;
    Await.until("all of it is streamed", () -> samples.getLast().timestampMs() >= toMs);
    stream.close();
    reader.join();
    double streamedMj = 0;
    double unknownMj = 0;
    for (int i = 1; i < samples.size(); i++) {
      GpuPowerSample last = samples.get(i - 1);
      GpuPowerSample next = samples.get(i);
      double begin = Math.max(fromMs, last.timestampMs());
      double end = Math.min(toMs, next.timestampMs());
      if (begin < end) {
        double partMj = (end - begin) / 1000 * (last.powerMw() + next.powerMw()) / 2;
        streamedMj += partMj;
        // What a machine that stood still has not sampled may have been anything.
        unknownMj += end - begin > 100 ? partMj : 0;
      }
    }
    JsonObject gpu = report.getJsonObject("gpus").getJsonObject("1");
    double countedMj = gpu.getJsonNumber("energy_mj").doubleValue();
    System.out.printf("run: %.0f mJ, stream: %.0f mJ%n", countedMj, streamedMj);
    assertEquals(streamedMj, countedMj, 0.03 * streamedMj + unknownMj);
    assertTrue(report.getJsonNumber("seconds").doubleValue() >= 2);
  }

  @Test
  void settingsLastAsLongAsTheCommand() throws Exception {
    Path started = dir.resolve("started");
    Path go = dir.resolve("go");
    String script = "touch " + started + "; until [ -e " + go + " ]; do sleep 0.05; done";
    try (ZeusdProcess run =
        run(
            "--gpus",
            "1,3",
            "--power-limit",
            "250W",
            "--gpu-clocks",
            "900-1400",
            "sh",
            "-c",
            script)) {
      awaitFile(started);
      assertEquals(250_000, client.powerLimitMw(1).get(1));
      assertEquals(250_000, client.powerLimitMw(3).get(3));
      assertEquals(DEFAULT_LIMIT_MW, client.powerLimitMw(0).get(0));
      assertEquals(List.of(1, 3), client.leases().getFirst().gpuIds());
      Files.createFile(go);
      assertEquals(0, run.awaitExit(), run::toString);
    }
    assertEquals(DEFAULT_LIMIT_MW, client.powerLimitMw(1).get(1));
    assertEquals(List.of(), client.leases());
  }

  @Test
  void settingsComeBackWhenItIsKilled() throws Exception {
    Path started = dir.resolve("started");
    try (ZeusdProcess run =
        run("--power-limit", "0.3kW", "sh", "-c", "touch " + started + "; exec sleep 100")) {
      awaitFile(started);
      assertEquals(300_000, client.powerLimitMw(0).get(0));
      run.signal("KILL");
      awaitLimitMw(0, DEFAULT_LIMIT_MW);
      awaitLimitMw(3, DEFAULT_LIMIT_MW);
    }
  }

  @Test
  void whatIsRefusedIsSaidBeforeTheCommandStarts() throws Exception {
    Path started = dir.resolve("started");
    String[][] wrong = {
      {"--power-limit", "5W", "is not within 200000 to 700000 mW"},
      {"--gpus", "9", "names device 9, which does not exist"},
      {"--json", dir.resolve("none/report").toString(), "there is no such folder"},
      {"--connect", dir.resolve("none.sock").toString(), "there is no such socket"},
    };
    for (String[] each : wrong) {
      try (ZeusdProcess run = run(each[0], each[1], "touch", started.toString())) {
        assertEquals(125, run.awaitExit(), run::toString);
        assertTrue(run.err().contains(each[2]), run.err());
        assertEquals(1, run.err().lines().count(), run.err());
        assertFalse(Files.exists(started));
      }
    }
    assertEquals(DEFAULT_LIMIT_MW, client.powerLimitMw(0).get(0));
    assertEquals(List.of(), client.leases());
  }

  @ParameterizedTest
  @CsvSource({
    "/no/such/command,127,there is no command",
    "/tmp,126,is no program that this user may execute",
    "/,126,is no program that this user may execute",
    // Longer than the name of a window may be.
    "/no/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        + "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz,127,there"
        + " is no command",
    "'/no/such\n\u009bcommand',127,there is no command"
  })
  void aCommandThatCannotBeStarted(String command, int status, String why) throws Exception {
    try (ZeusdProcess run = run("--power-limit", "250W", command)) {
      assertEquals(status, run.awaitExit(), run::toString);
      assertTrue(run.err().contains(why), run.err());
      assertEquals(1, run.err().lines().count(), run.err());
    }
    assertEquals(DEFAULT_LIMIT_MW, client.powerLimitMw(0).get(0));
    assertEquals(List.of(), client.energyWindows(), "nobody ends it any more");
  }

  @ParameterizedTest
  @ValueSource(strings = {"TERM", "INT", "HUP", "USR1", "USR2"})
  void signalsReachTheCommand(String signal) throws Exception {
    Path started = dir.resolve("started");
    String script =
        "trap 'echo "
            + signal
            + " came; exit 3' "
            + signal
            + "; touch "
            + started
            + "; while :; do sleep 0.05; done";
    // A session of its own: there is no terminal whose keys it might have been. Who tests in the
    // background ignores some signals, which programs inherit.
    List<String> alone = List.of("setsid", "env", "--default-signal=INT,HUP");
    try (ZeusdProcess run = run(alone, "--power-limit", "250W", "sh", "-c", script)) {
      awaitFile(started);
      run.signal(signal);
      assertEquals(3, run.awaitExit(), run::toString);
      assertEquals(signal + " came\n", run.out());
      assertTrue(run.err().contains("in all"), run.err());
    }
    assertEquals(DEFAULT_LIMIT_MW, client.powerLimitMw(0).get(0));
  }

  /** As below nohup, or a program that handles broken pipes by itself. */
  @Test
  void whatTheCallerIgnoresTheCommandIgnores() throws Exception {
    // The launcher's part: a java in the JVM's place shows what it is told.
    Path bin = Files.createDirectories(dir.resolve("image/bin"));
    Path java = Files.createDirectories(dir.resolve("image/lib/runtime/bin")).resolve("java");
    Files.writeString(java, "#!/bin/sh\necho \"$ZEUSD_CALLER_IGNORES $*\"\n");
    Files.copy(Path.of("src/dist/bin/zeusd"), bin.resolve("zeusd"));
    String all = "trap '' QUIT USR1 USR2 PIPE; ";
    String told =
        output(all + "chmod +x " + java + "; exec sh " + bin.resolve("zeusd") + " run true");
    long mask = Long.parseUnsignedLong(told.split(" ")[0], 16);
    assertEquals(QUIT_USR1_USR2_PIPE, mask & QUIT_USR1_USR2_PIPE, told);
    assertTrue(told.contains(" -XX:-DisplayVMOutput "), told);
    // Else the JVM's first file would be this, and the command's.
    Files.writeString(java, "#!/bin/sh\nreadlink /proc/$$/fd/0\n");
    assertEquals("/dev/null\n", output("exec sh " + bin.resolve("zeusd") + " run true <&-"));

    List<String> launched =
        List.of("env", "ZEUSD_LAUNCHED=1", "ZEUSD_CALLER_IGNORES=" + told.split(" ")[0]);
    String show = "grep SigIgn /proc/self/status; env";
    try (ZeusdProcess run = run(launched, "sh", "-c", show, "a b")) {
      assertEquals(0, run.awaitExit(), run::toString);
      String ignored = run.out().lines().findFirst().orElseThrow().split("\t")[1];
      long both = Long.parseUnsignedLong(ignored, 16) & QUIT_USR1_USR2_PIPE;
      assertEquals(QUIT_USR1_USR2_PIPE, both, run::toString);
      assertFalse(run.out().contains("CALLER_IGNORES"), run.out());
    }
  }

  private static String output(String script) throws IOException, InterruptedException {
    Process shell = new ProcessBuilder("sh", "-c", script).redirectErrorStream(true).start();
    String said = new String(shell.getInputStream().readAllBytes());
    shell.waitFor();
    return said;
  }

  @Test
  void aSignalThatEndsTheCommandIsInItsStatus() throws Exception {
    try (ZeusdProcess run = run("sh", "-c", "kill -KILL $$")) {
      assertEquals(137, run.awaitExit(), run::toString);
      assertTrue(run.err().contains("exit status 137"), run.err());
    }
  }

  @Test
  void theCommandGoesOnWithoutTheDaemon() throws Exception {
    Path started = dir.resolve("started");
    Path go = dir.resolve("go");
    String script =
        "touch " + started + "; until [ -e " + go + " ]; do sleep 0.05; done; echo done";
    try (ZeusdProcess run = run("--power-limit", "250W", "sh", "-c", script)) {
      awaitFile(started);
      daemon.signal("KILL");
      daemon.awaitExit();
      Files.createFile(go);
      assertEquals(0, run.awaitExit(), run::toString);
      assertEquals("done\n", run.out());
      assertTrue(run.err().contains("nothing could be measured: no zeusd at"), run.err());
      assertTrue(run.err().contains("settings were not put back from here"), run.err());
      assertTrue(run.err().contains("s elapsed"), run.err());
    }
  }

  @Test
  void itGoesOnOverARestartOfTheDaemon() throws Exception {
    Path started = dir.resolve("started");
    Path go = dir.resolve("go");
    String script = "touch " + started + "; until [ -e " + go + " ]; do sleep 0.05; done";
    try (ZeusdProcess run = run("--power-limit", "250W", "sh", "-c", script)) {
      awaitFile(started);
      daemon.close();
      daemon = serve();
      Files.createFile(go);
      assertEquals(0, run.awaitExit(), run::toString);
      assertTrue(run.err().contains("in all"), run.err());
      awaitLimitMw(0, DEFAULT_LIMIT_MW);
      assertEquals(List.of(), leases());
    }
  }

  private List<?> leases() throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (true) {
      try {
        if (client.leases().isEmpty() || System.nanoTime() > deadline) {
          return client.leases();
        }
      } catch (ZeusdException e) {
        assertTrue(System.nanoTime() < deadline, e::toString);
      }
      Thread.sleep(50);
    }
  }

  @Test
  void aWindowIsBegunAndEndedByTwoProcesses() {
    String at = socket.toString();
    Said begun = Said.by("energy", "begin", "--name", "job 7", "--gpus", "1", "--connect", at);
    assertEquals(0, begun.status(), begun.err());
    String id = begun.out().strip();
    assertTrue(id.matches("[0-9a-f]+"), begun.out());
    Said shown = Said.by("energy", "show", id, "--connect", at);
    assertTrue(shown.out().contains("GPU 1  Simulated GPU"), shown.out() + shown.err());
    List<String> listed = Said.by("energy", "list", "--connect", at).out().lines().toList();
    assertTrue(listed.getFirst().startsWith("ID"), listed::toString);
    assertTrue(listed.get(1).startsWith(id + "  20"), listed::toString);
    assertTrue(listed.get(1).endsWith("  job 7"), listed::toString);
    Said ended = Said.by("energy", "end", "--json", id, "--connect", at);
    assertEquals(0, ended.status(), ended.err());
    try (JsonReader reader = Json.createReader(new StringReader(ended.out()))) {
      JsonObject report = reader.readObject();
      assertEquals("job 7", report.getString("name"));
      assertEquals(java.util.Set.of("1"), report.getJsonObject("gpus").keySet());
      assertTrue(report.getJsonNumber("total_j").doubleValue() > 0, ended.out());
    }
    assertEquals(1, Said.by("energy", "list", "--connect", at).out().lines().count());
    // Its answer may have been lost.
    Said again = Said.by("energy", "end", "--json", id, "--connect", at);
    assertEquals(ended.out(), again.out(), again.err());
    Said unknown = Said.by("energy", "end", "0123456789abcdef", "--connect", at);
    assertEquals(1, unknown.status());
    assertTrue(unknown.err().startsWith("error: "), unknown.err());
    assertEquals(2, Said.by("energy").status());
  }

  @Test
  void wrongUsageIsToldInOneLine() throws Exception {
    String[][] wrong = {
      {"Missing required parameter: 'COMMAND'"},
      {"has no unit|is no power", "--power-limit", "250", "true"},
      {"is no range of clocks", "--gpu-clocks", "fast", "true"},
      {"begins above its end", "--gpu-clocks", "900-800", "true"},
      {"--tls-cert and --tls-key go together", "--tls-cert", "/x", "true"},
    };
    for (String[] each : wrong) {
      String[] args = java.util.Arrays.copyOfRange(each, 1, each.length);
      try (ZeusdProcess run = run(args)) {
        assertEquals(2, run.awaitExit(), run::toString);
        assertTrue(Pattern.compile(each[0]).matcher(run.err()).find(), run.err());
        assertEquals(2, run.err().lines().count(), run.err());
      }
    }
  }
}
