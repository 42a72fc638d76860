package dev.zeusd.core.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Backend;
import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.TestLog;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.Subscription;
import dev.zeusd.core.worker.DeviceWorker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.logging.Level;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Real programs, in the place of the driver. */
@Timeout(120)
class GpuCommandsTest {
  private static final Duration LONG = Duration.ofSeconds(60);

  @TempDir private Path folder;

  private record PowerOnly(GpuInfo info, AtomicLong reads) implements Gpu {
    PowerOnly(int id) {
      this(GpuInfo.unknown(id), new AtomicLong());
    }

    /** One more with each reading. */
    @Override
    public long powerMw() {
      return reads.incrementAndGet();
    }
  }

  private Path script(String text) throws IOException {
    Path script = Files.writeString(folder.resolve("script"), "#!/bin/sh\n" + text + "\n");
    Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
    return script;
  }

  private Gpu gpu(String script, String arguments, Optional<Pattern> pattern, Duration timeout)
      throws IOException {
    List<String> words =
        GpuCommand.split(script(script) + " " + arguments, GpuOperation.SET_POWER_LIMIT);
    GpuCommand command = new GpuCommand(List.of(words), pattern, timeout);
    GpuCommands commands = new GpuCommands(Map.of(GpuOperation.SET_POWER_LIMIT, command));
    return commands.over(Backend.of(List.of(new PowerOnly(3)))).devices().getFirst();
  }

  private static String failure(Gpu gpu) {
    return assertThrows(DeviceException.Failed.class, () -> gpu.setPowerLimit(250_500))
        .getMessage();
  }

  @Test
  void valuesAreArgumentsAndNoShellSeesThem() throws Exception {
    String quoted =
        "'a b' \"c d\" e\\ f $HOME `id` ; '*' x{gpu_id}y {power_limit_mw}{power_limit_w}";
    Gpu gpu =
        gpu(
            "for a; do echo \"<$a>\"; done >" + folder + "/told; pwd >>" + folder + "/told",
            quoted,
            Optional.empty(),
            LONG);
    gpu.setPowerLimit(250_500);
    assertEquals(
        List.of(
            "<a b>",
            "<c d>",
            "<e f>",
            "<$HOME>",
            "<`id`>",
            "<;>",
            "<*>",
            "<x3y>",
            "<250500250>",
            "/"),
        Files.readAllLines(folder.resolve("told")));
    assertEquals(1, gpu.powerMw(), "what has no command is the GPU's");
    assertThrows(DeviceException.NotSupported.class, () -> gpu.setGpuLockedClocks(1, 2));
  }

  private static boolean setLimit(Gpu gpu, long powerLimitMw) {
    gpu.setPowerLimit(powerLimitMw);
    return true;
  }

  @Test
  void whileAProgramRunsItsGpuIsStreamedAndItsOtherWritesWait() throws Exception {
    Path said = folder.resolve("said");
    Path go = folder.resolve("go");
    Path script = script("echo $1 >>" + said + "; until [ -e " + go + " ]; do sleep 0.02; done");
    GpuCommand command =
        new GpuCommand(
            List.of(List.of(script.toString(), "{power_limit_mw}")), Optional.empty(), LONG);
    Backend<Gpu> gpus =
        new GpuCommands(Map.of(GpuOperation.SET_POWER_LIMIT, command))
            .over(Backend.of(List.of(new PowerOnly(0))));
    NodeConfig nothing =
        NodeConfig.defaults().withGpuBackend(GpuBackend.NONE).withCpuBackend(CpuBackend.NONE);
    try (Node node = Node.of(nothing, List.of(gpus), List.of());
        Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(0))) {
      DeviceWorker<Gpu> gpu = node.gpus().getFirst();
      var first = gpu.runOrSubmit(device -> setLimit(device, 250_000));
      Await.until("the program runs", () -> Files.exists(said));
      var second = gpu.runOrSubmit(device -> setLimit(device, 260_000));
      for (int samples = 0; samples < 20; ) {
        samples += power.poll(LONG).size();
      }
      assertTrue(gpu.runOrShare(Gpu::powerMw).join() > 20);
      assertFalse(first.isDone() || second.isDone());
      assertEquals(List.of("250000"), Files.readAllLines(said));
      Files.createFile(go);
      assertTrue(second.join() && first.isDone());
      assertEquals(List.of("250000", "260000"), Files.readAllLines(said));
    }
  }

  @Test
  void itHasFewVariablesNothingToReadAndASessionOfItsOwn() throws Exception {
    Gpu gpu =
        gpu(
            "env | cut -d= -f1 | sort >"
                + folder
                + "/env; cat; ps -o sid= -p $$ >"
                + folder
                + "/sid",
            "",
            Optional.empty(),
            LONG);
    gpu.setPowerLimit(250_500);
    List<String> variables = Files.readAllLines(folder.resolve("env"));
    assertTrue(variables.contains("PATH"), variables.toString());
    assertFalse(variables.contains("FAKE_NVML_STATE"), variables.toString());
  }

  @Test
  void everyWayToFailIsAFailureInWords() throws Exception {
    assertEquals(
        "set power limit: the command "
            + folder
            + "/script ended with status 7; the daemon's log has its output",
        failure(gpu("echo no such GPU >&2; exit 7", "", Optional.empty(), LONG)));
    Optional<Pattern> pattern = Optional.of(Pattern.compile("(?i)error|not supported"));
    assertTrue(
        failure(gpu("echo 'ERROR: refused'", "", pattern, LONG)).contains("something went wrong"));
    gpu("echo fine", "", pattern, LONG).setPowerLimit(250_500);
    Gpu gone = gpu("exit 0", "", Optional.empty(), LONG);
    Files.delete(folder.resolve("script"));
    assertTrue(failure(gone).contains("cannot be looked at"), failure(gone));
  }

  @Test
  void aProgramThatOthersMayWriteToByNowIsNotRun() throws Exception {
    Gpu gpu = gpu("touch " + folder + "/ran", "", Optional.empty(), LONG);
    Path script = folder.resolve("script");
    for (String mode : List.of("rwxrwxrwx", "rwxr-xrwx")) {
      Files.setPosixFilePermissions(script, PosixFilePermissions.fromString(mode));
      assertTrue(failure(gpu).contains("chmod go-w " + script), failure(gpu));
    }
    // The daemon's own path may lead to another file by now, too.
    Files.move(script, folder.resolve("others"));
    Files.createSymbolicLink(script, folder.resolve("others"));
    assertTrue(failure(gpu).contains("can be written by others"), failure(gpu));
    assertFalse(Files.exists(folder.resolve("ran")));
    Files.setPosixFilePermissions(
        folder.resolve("others"), PosixFilePermissions.fromString("rwxr-xr-x"));
    gpu.setPowerLimit(250_500);
    assertTrue(Files.exists(folder.resolve("ran")));
  }

  @Test
  void whatItSaidIsInTheLogAndNoMoreThanIsBearable() throws Exception {
    try (TestLog log = new TestLog(CommandRunner.class.getName())) {
      failure(gpu("echo out; echo err >&2; exit 1", "a", Optional.empty(), LONG));
      String line = log.lines(Level.WARNING).getFirst();
      assertTrue(line.contains("/script a ended with status 1; its output: out | err"), line);
      failure(gpu("head -c 50000000 /dev/zero | tr '\\0' x; exit 1", "", Optional.empty(), LONG));
      assertTrue(log.lines(Level.WARNING).getLast().length() < 3000);
    }
  }

  @Test
  void oneThatDoesNotEndIsKilledWithAllThatItStarted() throws Exception {
    Path pid = folder.resolve("pid");
    Gpu gpu =
        gpu(
            "sh -c 'echo $$ >" + pid + "; exec sleep 1000' & wait",
            "",
            Optional.empty(),
            Duration.ofSeconds(2));
    assertTrue(failure(gpu).contains("did not end within 2 s and was killed"));
    awaitEnd(pid);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "error"})
  void whatItLeavesRunningEndsWithIt(String pattern) throws Exception {
    Path pid = folder.resolve("pid");
    Gpu gpu =
        gpu(
            "(sleep 1000; echo error) & echo $! >" + pid + "; echo fine",
            "",
            Optional.of(pattern).filter(text -> !text.isEmpty()).map(Pattern::compile),
            LONG);
    gpu.setPowerLimit(250_500);
    awaitEnd(pid);
  }

  @Test
  void outputThatAnotherSessionKeepsOpenIsNotWaitedFor() throws Exception {
    Path pid = folder.resolve("pid");
    Optional<Pattern> pattern = Optional.of(Pattern.compile("error"));
    gpu("setsid sh -c 'echo $$ >" + pid + "; exec sleep 20' & sleep 1", "", pattern, LONG)
        .setPowerLimit(250_500);
    assertTrue(handle(pid).orElseThrow().destroyForcibly());
  }

  private static Optional<ProcessHandle> handle(Path pid) throws IOException {
    return ProcessHandle.of(Long.parseLong(Files.readString(pid).strip()));
  }

  private static void awaitEnd(Path pid) throws Exception {
    Optional<ProcessHandle> child = handle(pid);
    Await.until("its child has ended", () -> child.map(handle -> !handle.isAlive()).orElse(true));
  }

  @Test
  void aPatternThatTakesForEverIsGivenUp() throws Exception {
    Gpu gpu =
        gpu(
            "head -c 60000 /dev/zero | tr '\\0' a",
            "",
            Optional.of(Pattern.compile("(a+)+(a+)+(a+)+b")),
            LONG);
    assertTrue(failure(gpu).contains("cannot be compared"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a 'b            | a quote ' does not end",
        "\"  \"          | ",
        "a {power_limit} | {pci_address}, {power_limit_mw}, {power_limit_w}",
        "a {enabled}     | none of",
        "a {             | none of",
        "a }{gpu_id}     | none of",
        "a {}            | none of"
      })
  void nonsenseIsRefused(String line, String why) {
    if (why == null) {
      assertEquals(
          List.of("  "), GpuCommand.split("'  '", GpuOperation.SET_POWER_LIMIT), "one word");
      assertThrows(
          IllegalArgumentException.class,
          () -> GpuCommand.split("  ", GpuOperation.SET_POWER_LIMIT));
      return;
    }
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> GpuCommand.split(line, GpuOperation.SET_POWER_LIMIT));
    assertTrue(e.getMessage().contains(why), e.getMessage());
  }
}
