package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import jakarta.json.Json;
import jakarta.json.JsonObject;
import java.io.IOException;
import java.io.StringReader;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Energy windows over the end of a daemon, and the beginning of the next one. */
@Timeout(120)
class EnergyCrashTest {
  private static final int NOT_SUPPORTED = 3;
  private static final long JOULE = 1_000_000;
  private static final Duration DOWN = Duration.ofMillis(2500);

  /** How far the boot clocks of two processes are apart, and what they do before and after. */
  private static final long TOLERANCE_MS = 100;

  @TempDir Path dir;

  private ZeusdProcess start(FakeNvml nvml) throws IOException, InterruptedException {
    ZeusdProcess daemon =
        ZeusdProcess.start(
            dir,
            nvml.environment(),
            "serve",
            "--enable",
            "gpu-read,cpu-read",
            "--gpu-backend",
            "nvml",
            "--rapl-dir",
            dir.resolve("rapl").toString(),
            "--socket-path",
            socket().toString(),
            "--state-dir",
            dir.resolve("kept").toString());
    daemon.awaitListening();
    return daemon;
  }

  private Path socket() {
    return dir.resolve("z.sock");
  }

  private JsonObject ask(String method, String target, int status) throws IOException {
    try (RawConnection connection = RawConnection.open(UnixDomainSocketAddress.of(socket()))) {
      connection.send(RawConnection.request(method, target));
      RawResponse response = connection.readResponse();
      assertEquals(status, response.status(), response::toString);
      return Json.createReader(new StringReader(response.body())).readObject();
    }
  }

  @Test
  void aKillCostsACounterNothingAndIsTold() throws Exception {
    RaplTree.Zone cpu = new RaplTree(dir.resolve("rapl")).zone(0, "package-0");
    cpu.energy(100_000 * JOULE);
    FakeNvml nvml = FakeNvml.create(dir.resolve("fake")).deviceCount(2);
    nvml.gpu(0).energyMj(1_000);
    nvml.gpu(1).error(Call.GET_TOTAL_ENERGY, NOT_SUPPORTED).powerMw(100_000);
    String id;
    JsonObject told;
    try (ZeusdProcess daemon = start(nvml)) {
      JsonObject begun = ask("POST", "/energy/begin?name=job", 201);
      assertTrue(begun.getBoolean("crash_safe"), begun::toString);
      id = begun.getString("window_id");
      nvml.gpu(0).energyMj(41_000);
      cpu.energy(100_600 * JOULE);
      Path tallies = dir.resolve("kept/energy-tallies");
      Await.until("it is saved", () -> Files.readString(tallies).contains("" + 100_600 * JOULE));
      assertTrue(daemon.isAlive());
      // This is kill -9.
    }
    Thread.sleep(DOWN);
    nvml.gpu(0).energyMj(91_000);
    // Its counter is reset, and nobody knows when.
    cpu.energy(3 * JOULE);
    try (ZeusdProcess daemon = start(nvml)) {
      JsonObject energy = ask("POST", "/energy/end?window_id=" + id, 200);
      JsonObject counting = energy.getJsonObject("gpus").getJsonObject("0");
      JsonObject integrated = energy.getJsonObject("gpus").getJsonObject("1");
      long elapsedMs = Math.round(energy.getJsonNumber("seconds").doubleValue() * 1e3);
      assertEquals(90_000, counting.getInt("energy_mj"), energy::toString);
      assertEquals(0, counting.getInt("missing_ms"), energy::toString);
      for (JsonObject gpu : new JsonObject[] {counting, integrated}) {
        int gapMs = gpu.getInt("gap_ms");
        assertTrue(gapMs >= DOWN.toMillis() - TOLERANCE_MS, energy::toString);
        assertTrue(gapMs <= elapsedMs + TOLERANCE_MS, energy::toString);
      }
      JsonObject reset = energy.getJsonObject("cpus").getJsonObject("0");
      assertEquals(600 * JOULE, reset.getInt("cpu_energy_uj"), "what is known, and no more");
      assertTrue(reset.getInt("missing_ms") >= DOWN.toMillis() - TOLERANCE_MS, energy::toString);
      assertEquals("integrated", integrated.getString("method"));
      assertEquals(integrated.getInt("gap_ms"), integrated.getInt("missing_ms"));
      assertEquals(
          energy, ask("POST", "/energy/end?window_id=" + id, 200), "an answer may be lost");
      ask("GET", "/energy/window?window_id=" + id, 410);
      told = energy;
      assertTrue(daemon.isAlive());
    }
    // What has ended does not come back.
    try (ZeusdProcess daemon = start(nvml)) {
      assertEquals("{\"windows\":[]}", ask("GET", "/energy/windows", 200).toString());
      assertEquals(
          told, ask("POST", "/energy/end?window_id=" + id, 200), "also where the daemon was lost");
      assertTrue(daemon.isAlive());
    }
  }

  private int energyMj(String id) throws IOException {
    JsonObject soFar = ask("GET", "/energy/window?window_id=" + id, 200);
    return soFar.getJsonObject("gpus").getJsonObject("0").getInt("energy_mj");
  }

  @Test
  void aDaemonThatIsStoppedKeepsWhatItHasSummedUp() throws Exception {
    FakeNvml nvml = FakeNvml.create(dir.resolve("fake")).deviceCount(1);
    nvml.gpu(0).error(Call.GET_TOTAL_ENERGY, NOT_SUPPORTED).powerMw(100_000);
    String id;
    int beforeMj;
    try (ZeusdProcess daemon = start(nvml)) {
      id = ask("POST", "/energy/begin", 201).getString("window_id");
      Await.until("some energy is summed up", () -> energyMj(id) > 0);
      beforeMj = energyMj(id);
      daemon.signal("TERM");
      assertEquals(0, daemon.awaitExit());
    }
    try (ZeusdProcess daemon = start(nvml)) {
      JsonObject energy = ask("POST", "/energy/end?window_id=" + id, 200);
      JsonObject gpu = energy.getJsonObject("gpus").getJsonObject("0");
      assertTrue(gpu.getInt("energy_mj") >= beforeMj, energy::toString);
      assertTrue(gpu.getInt("missing_ms") > 0, energy::toString);
      assertTrue(daemon.isAlive());
    }
  }
}
