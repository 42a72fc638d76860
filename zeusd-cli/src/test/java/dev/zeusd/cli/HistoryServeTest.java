package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --history}, and a daemon without it. */
@Timeout(120)
class HistoryServeTest {
  @TempDir Path dir;

  private Path loaded() {
    return dir.resolve("loaded");
  }

  private ZeusdProcess start(String... options) throws IOException {
    List<String> args = new ArrayList<>(List.of("serve", "--simulate"));
    args.addAll(List.of("--socket-path", dir.resolve("z.sock").toString()));
    args.addAll(List.of("--state-dir", dir.resolve("kept").toString()));
    args.addAll(List.of(options));
    String log = "-Xmx256m -Xlog:class+load:file=" + loaded();
    return ZeusdProcess.start(dir, Map.of("JDK_JAVA_OPTIONS", log), args.toArray(String[]::new));
  }

  private RawResponse get(String target) throws IOException {
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(dir.resolve("z.sock"));
    try (RawConnection connection = RawConnection.open(address)) {
      return connection.get(target);
    }
  }

  private List<String> historyClasses() throws IOException {
    try (Stream<String> lines = Files.lines(loaded())) {
      return lines.filter(line -> line.contains("dev.zeusd.core.history")).toList();
    }
  }

  /** What threads are called, as far as the kernel keeps names. */
  private static List<String> threads(ZeusdProcess zeusd) throws IOException {
    List<String> names = new ArrayList<>();
    try (Stream<Path> tasks = Files.list(Path.of("/proc", "" + zeusd.pid(), "task"))) {
      for (Path task : tasks.toList()) {
        names.add(Files.readString(task.resolve("comm")).strip());
      }
    }
    return names;
  }

  @Test
  void costsNothingUnlessItIsAskedFor() throws Exception {
    try (ZeusdProcess zeusd = start()) {
      zeusd.awaitListening();
      get("/gpu/power_history").assertError(404, "--history 1h");
      for (String target : List.of("/discover", "/metrics", "/gpu/get_power", "/cpu/get_power")) {
        assertEquals(200, get(target).status());
      }
      List<String> threads = threads(zeusd);
      assertTrue(threads.stream().noneMatch(each -> each.contains("power")), threads::toString);
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit());
    }
    assertEquals(List.of(), historyClasses());
  }

  @Test
  void keepsPowerFromTheStartOn() throws Exception {
    try (ZeusdProcess zeusd = start("--history", "1h")) {
      zeusd.awaitListening();
      zeusd.awaitErr(Pattern.compile("power of GPUs \\[0, 1, 2, 3] is kept for 3600 s, in 2.2 MB"));
      zeusd.awaitErr(Pattern.compile("power of CPUs \\[0, 1] is kept for 3600 s, in 0.8 MB"));
      assertTrue(get("/discover").body().contains("\"power_history_s\":3600"));
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      while (!get("/gpu/power_history?step_ms=86400000")
          .body()
          .matches(".*\"3\":\\{\"mean\":\\[\\d+].*")) {
        assertTrue(System.nanoTime() < deadline, zeusd::toString);
        Thread.sleep(20);
      }
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit());
    }
    assertTrue(!historyClasses().isEmpty(), "the other test looks for the wrong name");
  }

  @Test
  void aShorterTimeIsKeptWhereThereIsTooLittleMemory() throws Exception {
    try (ZeusdProcess zeusd = start("--history", "14d", "--gpu-power-poll-hz", "1000")) {
      zeusd.awaitListening();
      zeusd.awaitErr(Pattern.compile("power of GPUs \\[0, 1, 2, 3] is kept for .* instead of"));
      assertEquals(200, get("/gpu/power_history?step_ms=86400000").status());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--history 15d, 14d",
    "--history 100ms, less than a second",
    "--history soon, not a duration",
    "--history 1h --enable gpu-control, has no effect",
    "--history 1h --gpu-idle-release 1h, --gpu-idle-release has no effect",
  })
  void refusesWhatMakesNoSense(String options, String mentioned) throws Exception {
    try (ZeusdProcess zeusd = start(options.split(" "))) {
      assertEquals(2, zeusd.awaitExit());
      assertTrue(zeusd.err().contains(mentioned), zeusd::toString);
      assertTrue(zeusd.err().contains("--history"), zeusd::toString);
    }
  }
}
