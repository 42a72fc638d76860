package dev.zeusd.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** That the figures are of what they are said to be. */
class LoadGeneratorTest {
  private static final double SLOW_US = 30_000;

  private static final LoadGenerator LOAD =
      new LoadGenerator(ThisDaemon.nativeDirectory().resolve("load"), 0);
  private static Server server;

  @BeforeAll
  static void start(@TempDir Path directory)
      throws IOException, BenchException, InterruptedException {
    Launcher launcher =
        new Launcher(
            ThisDaemon.nativeDirectory().resolve("echo"),
            ThisDaemon.fakeNvmlDirectory(),
            directory);
    server = launcher.daemon(new Contender(ThisDaemon.executable(directory)), Setup.STREAMS);
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static Measurement run(String mode, String request, String... options)
      throws BenchException, InterruptedException {
    return LOAD.run(server, List.of(options), mode, request);
  }

  @Test
  void slowDriverCallsAreSeenFromTheFirstRequestOn()
      throws IOException, BenchException, InterruptedException {
    server.driver().delayCalls(Duration.ofNanos((long) (SLOW_US * 1000)));
    try {
      Measurement slow = run("serial", Rows.GET_POWER, "-n", "4");

      assertEquals(4, slow.get("count"));
      assertTrue(slow.get("p50_us") >= SLOW_US, "half of them are faster than the driver");
      assertTrue(slow.get("per_second") <= 1e6 / SLOW_US, "more than the driver can answer");

      // Due every 10 ms, answered every 30 ms at best: the last of 10 waits for those before it.
      Measurement paced = run("paced", Rows.GET_POWER, "-z", "100", "-n", "10");
      assertTrue(paced.get("max_us") >= 10 * SLOW_US - 9 * 10_000, "waiting was not counted");
    } finally {
      server.driver().delayCalls(Duration.ZERO);
    }
  }

  @Test
  void eachSubscriberCountsOnceForEachValue() throws BenchException, InterruptedException {
    Measurement streams = run("stream", Workload.Streams.REQUEST, "-c", "20", "-n", "1600");

    // Of 4 GPUs, 20 values each: a first one, and 19 after a 20th of a second each.
    assertTrue(streams.get("count") >= 1600);
    assertTrue(streams.get("seconds") >= 0.8, () -> "more values than there were");
    assertTrue(streams.get("p50_us") > 0, "events arrive before they are read");
    assertTrue(streams.get("cpu_us") > 0, "the daemon's CPU time was not read");
    assertTrue(streams.get("rss_after_kib") > 10_000, "no JVM is that small");
  }

  @Test
  void answersThatAreNoSuccessFailTheMeasurement() {
    for (String mode : List.of("serial", "connect", "paced", "many", "stream")) {
      BenchException e =
          assertThrows(BenchException.class, () -> run(mode, "GET /nothing", "-n", "1", "-s", "5"));
      assertTrue(e.getMessage().contains("404"), e.getMessage());
    }
  }
}
