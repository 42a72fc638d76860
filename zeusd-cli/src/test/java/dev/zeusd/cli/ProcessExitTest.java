package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code --restore-on process-exit}: the daemon as it is shipped, and clients that are killed. */
@Timeout(120)
class ProcessExitTest {
  private static final int ORIGINAL_MW = 300_000;

  private final List<AutoCloseable> open = new ArrayList<>();
  @TempDir private Path dir;
  private FakeNvml nvml;
  private Path socket;

  @BeforeEach
  void prepare() throws IOException {
    nvml = FakeNvml.create(dir.resolve("fake")).deviceCount(2);
    socket = dir.resolve("z.sock");
  }

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
  }

  private ZeusdProcess start(String shell) throws Exception {
    ZeusdProcess daemon =
        ZeusdProcess.startShipped(
            dir,
            nvml.environment(),
            shell,
            "serve",
            "--enable=gpu-control",
            "--gpu-backend=nvml",
            "--restore-on=process-exit",
            "--socket-path=" + socket,
            "--state-dir=" + dir.resolve("kept"));
    open.add(daemon);
    daemon.awaitListening();
    return daemon;
  }

  private ClientProcess connect() throws IOException {
    ClientProcess client = new ClientProcess(socket);
    open.add(client);
    return client;
  }

  /** Of this process. */
  private RawResponse ask(String method, String target) throws IOException {
    try (RawConnection connection = RawConnection.open(UnixDomainSocketAddress.of(socket))) {
      connection.send(RawConnection.request(method, target));
      return connection.readResponse();
    }
  }

  private void assertHeld(String holder) throws IOException {
    RawResponse answer = ask("POST", ClientProcess.limit(0, 250_000));
    assertEquals(423, answer.status(), answer::toString);
    assertTrue(answer.body().contains(holder), answer::toString);
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, "does not happen");
      Thread.sleep(2);
    }
  }

  private void awaitLimit(int gpu, int mw) throws InterruptedException {
    await(() -> nvml.gpu(gpu).powerLimitMw() == mw);
  }

  @Test
  void whatAProcessHasSetComesBackWhenItIsKilledAndIsNobodyElsesBefore() throws Exception {
    start("");
    ClientProcess client = connect();
    client.setLimit(0, 200_000);
    client.setLimit(0, 210_000);
    String locked = "/gpu/set_gpu_locked_clocks?block=true&gpu_ids=0";
    assertEquals("200 ", client.ask("POST", locked + "&min_clock_mhz=300&max_clock_mhz=900"));
    assertHeld("(process " + client.pid() + "), until that ends");
    String leases = ask("GET", "/leases").body();
    assertTrue(leases.contains("\"pid\":" + client.pid()), leases);
    // Another connection of it, and another setting.
    ClientProcess other = connect();
    other.setLimit(1, 220_000);
    assertEquals(210_000, nvml.gpu(0).powerLimitMw());
    client.close();
    awaitLimit(0, ORIGINAL_MW);
    await(() -> nvml.gpu(0).gpuLockedClocks().maxMhz() == 0);
    assertEquals(220_000, nvml.gpu(1).powerLimitMw());
    // And then they are anybody's.
    other.setLimit(0, 230_000);
    other.close();
    awaitLimit(0, ORIGINAL_MW);
    awaitLimit(1, ORIGINAL_MW);
    await(() -> leases().equals("{\"leases\":[]}"));
  }

  private String leases() {
    try {
      return ask("GET", "/leases").body();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Of a few, one is not late for the machine's reasons. */
  @Test
  void itComesBackWithinASecond() throws Exception {
    start("");
    long tookMs = Long.MAX_VALUE;
    for (int i = 0; i < 5 && tookMs > 1000; i++) {
      ClientProcess client = connect();
      client.setLimit(0, 200_000);
      long killed = System.nanoTime();
      client.close();
      awaitLimit(0, ORIGINAL_MW);
      tookMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - killed);
    }
    assertTrue(tookMs <= 1000, "came back after " + tookMs + " ms");
  }

  @Test
  void aChildThatHasInheritedTheSocketKeepsNothing() throws Exception {
    start("");
    ClientProcess client = connect();
    client.setLimit(0, 200_000);
    long child = client.fork();
    assertTrue(child != client.pid());
    client.setLimit(0, 210_000);
    client.close();
    awaitLimit(0, ORIGINAL_MW);
    ProcessHandle.of(child).ifPresent(ProcessHandle::destroyForcibly);
  }

  @Test
  void overAKillOfTheDaemonItGoesOnIfTheProcessDoes() throws Exception {
    ZeusdProcess daemon = start("");
    ClientProcess lives = connect();
    ClientProcess dies = connect();
    lives.setLimit(0, 200_000);
    dies.setLimit(1, 210_000);
    daemon.close();
    daemon.awaitExit();
    dies.close();
    start("");
    awaitLimit(1, ORIGINAL_MW);
    String leases = leases();
    assertTrue(leases.contains("\"state\":\"kept\",\"pid\":" + lives.pid()), leases);
    assertHeld("process " + lives.pid());
    assertEquals(200_000, nvml.gpu(0).powerLimitMw());
    lives.close();
    awaitLimit(0, ORIGINAL_MW);
  }

  @Test
  void aStopOfTheDaemonPutsAllBack() throws Exception {
    ZeusdProcess daemon = start("");
    ClientProcess client = connect();
    client.setLimit(0, 200_000);
    daemon.signal("TERM");
    assertEquals(0, daemon.awaitExit());
    assertEquals(ORIGINAL_MW, nvml.gpu(0).powerLimitMw());
    assertTrue(daemon.err().contains(": ended, since zeusd stops"), daemon::toString);
    assertTrue(daemon.err().contains(": restored"), daemon::toString);
  }

  @Test
  void aGpuThatFailsCostsNoOther() throws Exception {
    start("");
    ClientProcess client = connect();
    nvml.gpu(0).error(Call.GET_POWER_LIMIT, 999);
    String answer =
        client.ask("POST", ClientProcess.limit(0, 200_000).replace("gpu_ids=0", "gpu_ids=0,1"));
    assertTrue(answer.startsWith("500 {\"errors\":{\"0\":"), answer);
    assertEquals(ORIGINAL_MW, nvml.gpu(0).powerLimitMw());
    assertEquals(200_000, nvml.gpu(1).powerLimitMw());
    client.close();
    awaitLimit(1, ORIGINAL_MW);
  }

  @Test
  void aProcessOfAnotherPidNamespaceIsWatchedLikeAnyOther() throws Exception {
    assumeTrue(ZeusdProcess.canUnshare("--pid"), "PID namespaces are for root");
    start("exec unshare --pid --fork --kill-child --mount-proc \"$@\";");
    ClientProcess client = connect();
    client.setLimit(0, 200_000);
    assertTrue(leases().contains("\"pid\":0"), this::leases);
    assertHeld("a process in another container");
    client.setLimit(0, 210_000);
    client.close();
    awaitLimit(0, ORIGINAL_MW);
  }

  @Test
  void whereProcessesCannotBeKnownItDoesNotStart() throws Exception {
    String[] serve = {
      "serve", "--simulate", "--restore-on=process-exit", "--socket-path=" + socket
    };
    try (ZeusdProcess daemon = ZeusdProcess.start(dir, nvml.environment(), serve)) {
      daemon.assertFails(
          "--restore-on process-exit", "--add-exports java.base/sun.nio.ch=ALL-UNNAMED");
    }
  }
}
