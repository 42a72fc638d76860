package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import dev.zeusd.testkit.nvml.FakeNvml.CallRecord;
import dev.zeusd.testkit.nvml.FakeNvml.Clocks;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The writes, over real connections down to the driver's calls. */
class ControlTest {
  private final FakeNvml nvml = TestServer.freshNvml();
  private TestServer server;

  @BeforeEach
  void start() throws IOException {
    server = TestServer.start(Transport.UDS, EnumSet.of(ApiGroup.GPU_CONTROL), Optional.empty());
  }

  @AfterEach
  void stop() throws IOException {
    server.close();
  }

  private RawResponse post(String target) throws IOException {
    try (RawConnection connection = server.connect()) {
      connection.send(RawConnection.request("POST", target, "Content-Length: 0"));
      return connection.readResponse();
    }
  }

  private void assertDone(String target) throws IOException {
    RawResponse response = post(target);
    assertEquals(200, response.status(), response::toString);
    assertEquals("", response.body());
  }

  private static void await(Await.Condition condition) throws InterruptedException {
    Await.until("what was waited for", condition);
  }

  @Test
  void setsAndResets() throws IOException {
    assertDone("/gpu/set_power_limit?gpu_ids=0,2&power_limit_mw=200000&block=true");
    assertEquals(200_000, nvml.gpu(0).powerLimitMw());
    assertEquals(300_000, nvml.gpu(1).powerLimitMw());
    assertEquals(200_000, nvml.gpu(2).powerLimitMw());

    assertDone("/gpu/set_persistence_mode?gpu_ids=1&enabled=true&block=true");
    assertTrue(nvml.gpu(1).persistenceMode());
    assertDone("/gpu/set_persistence_mode?gpu_ids=1&enabled=false&block=true");
    assertFalse(nvml.gpu(1).persistenceMode());

    String range = "&min_clock_mhz=1000&max_clock_mhz=1500&block=true";
    assertDone("/gpu/set_gpu_locked_clocks?gpu_ids=0,1" + range);
    assertDone("/gpu/set_mem_locked_clocks?gpu_ids=0,1" + range);
    assertEquals(new Clocks(1000, 1500), nvml.gpu(0).gpuLockedClocks());
    assertEquals(new Clocks(1000, 1500), nvml.gpu(1).memLockedClocks());

    assertDone("/gpu/reset_gpu_locked_clocks?gpu_ids=0&block=true");
    assertEquals(new Clocks(0, 0), nvml.gpu(0).gpuLockedClocks());
    assertEquals(new Clocks(1000, 1500), nvml.gpu(0).memLockedClocks());
    assertDone("/gpu/reset_mem_locked_clocks?gpu_ids=0&block=true");
    assertEquals(new Clocks(0, 0), nvml.gpu(0).memLockedClocks());

    assertDone("/gpu/reset_locked_clocks?gpu_ids=1&block=true");
    assertEquals(new Clocks(0, 0), nvml.gpu(1).gpuLockedClocks());
    assertEquals(new Clocks(0, 0), nvml.gpu(1).memLockedClocks());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/gpu/set_power_limit?gpu_ids=0&block=true | power_limit_mw",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000 | block",
        "/gpu/set_power_limit?power_limit_mw=200000&block=true | gpu_ids",
        "/gpu/set_power_limit?gpu_ids=&power_limit_mw=200000&block=true | gpu_ids",
        "/gpu/set_power_limit?gpu_ids=0,&power_limit_mw=200000&block=true | gpu_ids",
        "/gpu/set_power_limit?gpu_ids=0,4&power_limit_mw=200000&block=true | gpu_ids",
        "/gpu/set_power_limit?gpu_ids=-1&power_limit_mw=200000&block=true | gpu_ids",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=-1&block=true | power_limit_mw",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=2e5&block=true | power_limit_mw",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000.0&block=true | power_limit_mw",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=%2B200000&block=true | power_limit_mw",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=4294967296&block=true | power_limit_mw",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=99999999999999999999&block=true | power",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=&block=true | power_limit_mw",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000&block=1 | block",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000&block=True | block",
        "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000&block=true&x=1 | x",
        "/gpu/set_power_limit?gpu_ids=0&gpu_ids=1&power_limit_mw=200000&block=true | gpu_ids",
        "/gpu/set_persistence_mode?gpu_ids=0&enabled=yes&block=true | enabled",
        "/gpu/set_gpu_locked_clocks?gpu_ids=0&min_clock_mhz=1000&block=true | max_clock_mhz",
        "/gpu/set_gpu_locked_clocks?gpu_ids=0&min_clock_mhz=9&max_clock_mhz=8&block=true | min_",
        "/gpu/set_mem_locked_clocks?gpu_ids=0&max_clock_mhz=1000&block=true | min_clock_mhz",
        "/gpu/reset_gpu_locked_clocks?gpu_ids=0 | block",
        "/gpu/reset_mem_locked_clocks?block=true | gpu_ids",
        "/gpu/reset_locked_clocks | gpu_ids"
      })
  void aRefusedRequestTouchesNoDevice(String targetAndCulprit) throws IOException {
    String[] parts = targetAndCulprit.split(" \\| ");
    long before = nvml.totalCalls();
    post(parts[0]).assertError(400, parts[1]);
    assertEquals(before, nvml.totalCalls());
  }

  @Test
  void aBodyIsRefused() throws IOException {
    long before = nvml.totalCalls();
    try (RawConnection connection = server.connect()) {
      connection.send(
          RawConnection.request(
                  "POST",
                  "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000&block=true",
                  "Content-Length: 5")
              + "hello");
      connection.readResponse().assertError(413);
    }
    assertEquals(before, nvml.totalCalls());
  }

  @ParameterizedTest
  @CsvSource({"2,400", "3,400", "4,403", "13,400", "15,500", "999,500", "24,400"})
  void reportsWhatTheDriverSays(int nvmlReturn, int status) throws IOException {
    nvml.gpu(1).error(Call.SET_POWER_LIMIT, nvmlReturn);
    RawResponse response =
        post("/gpu/set_power_limit?gpu_ids=0,1,2&power_limit_mw=150000&block=true");
    assertEquals(status, response.status(), response::toString);
    assertTrue(
        response
            .body()
            .matches(
                "\\{\"errors\":\\{\"1\":\"[^\"]*power limit[^\"]+ \\(nvmlDeviceSet[^\"]+\\)\"}}"),
        response.body());
    assertEquals(150_000, nvml.gpu(0).powerLimitMw());
    assertEquals(300_000, nvml.gpu(1).powerLimitMw());
    assertEquals(150_000, nvml.gpu(2).powerLimitMw());
  }

  @Test
  void theWorstStatusIsTheAnswers() throws IOException {
    nvml.gpu(0).error(Call.SET_POWER_LIMIT, 2);
    nvml.gpu(1).error(Call.SET_POWER_LIMIT, 999);
    nvml.gpu(2).error(Call.SET_POWER_LIMIT, 4);
    RawResponse response =
        post("/gpu/set_power_limit?gpu_ids=0,1,2,3&power_limit_mw=150000&block=true");
    assertEquals(500, response.status());
    assertTrue(response.body().matches("\\{\"errors\":\\{\"0\":.*,\"1\":.*,\"2\":.*}}"));
    assertEquals(150_000, nvml.gpu(3).powerLimitMw());
  }

  @Test
  void bothClocksAreResetAlthoughOneFails() throws IOException {
    assertDone(
        "/gpu/set_mem_locked_clocks?gpu_ids=0&min_clock_mhz=500&max_clock_mhz=600&block=true");
    nvml.gpu(0).error(Call.RESET_GPU_LOCKED_CLOCKS, 4).error(Call.RESET_MEM_LOCKED_CLOCKS, 0);
    RawResponse response = post("/gpu/reset_locked_clocks?gpu_ids=0&block=true");
    assertEquals(403, response.status());
    assertEquals(new Clocks(0, 0), nvml.gpu(0).memLockedClocks());
    nvml.gpu(0).error(Call.RESET_MEM_LOCKED_CLOCKS, 999);
    assertEquals(
        403, post("/gpu/reset_locked_clocks?gpu_ids=0&block=true").status(), "the first failure");
  }

  @Test
  void withoutBlockTheAnswerDoesNotWait() throws Exception {
    nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ofSeconds(60));
    assertDone("/gpu/set_power_limit?gpu_ids=0&power_limit_mw=150000&block=false");
    await(() -> nvml.gpu(0).inFlight() == 1);
    assertEquals(300_000, nvml.gpu(0).powerLimitMw());
    nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ZERO);
    await(() -> nvml.gpu(0).powerLimitMw() == 150_000);
  }

  @Test
  void aSlowDeviceHoldsUpOnlyItself() throws IOException, InterruptedException {
    nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ofSeconds(60));
    String target = "/gpu/set_power_limit?gpu_ids=%d&power_limit_mw=150000&block=true";
    try (RawConnection waiting = server.connect()) {
      waiting.send(RawConnection.request("POST", target.formatted(0)));
      await(() -> nvml.gpu(0).inFlight() == 1);
      assertDone(target.formatted(1));
      nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ZERO);
      assertEquals(200, waiting.readResponse().status());
    }
  }

  @Test
  void devicesWorkSideBySide() throws IOException, InterruptedException {
    nvml.delay(Call.SET_POWER_LIMIT, Duration.ofSeconds(60));
    try (RawConnection waiting = server.connect()) {
      waiting.send(
          RawConnection.request(
              "POST", "/gpu/set_power_limit?gpu_ids=0,1,2,3&power_limit_mw=150000&block=true"));
      await(() -> nvml.inFlight() == 4);
      nvml.delay(Call.SET_POWER_LIMIT, Duration.ZERO);
      assertEquals(200, waiting.readResponse().status());
    }
  }

  @Test
  void commandsToOneDeviceRunOneAtATimeInTheirOrder() throws IOException, InterruptedException {
    nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ofMillis(2));
    List<Long> wanted = new ArrayList<>();
    try (RawConnection connection = server.connect()) {
      for (long limitMw = 100_000; limitMw < 100_050; limitMw++) {
        wanted.add(limitMw);
        connection.send(
            RawConnection.request(
                "POST",
                "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=" + limitMw + "&block=false"));
        assertEquals(200, connection.readResponse().status());
      }
    }
    await(() -> nvml.gpu(0).calls(Call.SET_POWER_LIMIT) == wanted.size());
    await(() -> nvml.gpu(0).inFlight() == 0);
    List<Long> seen =
        nvml.history().stream()
            .filter(call -> call.call() == Call.SET_POWER_LIMIT)
            .sorted(Comparator.comparing(CallRecord::startNs))
            .map(CallRecord::a)
            .toList();
    assertEquals(wanted, seen);
    assertEquals(1, nvml.gpu(0).maxInFlight());
  }

  @Test
  void tooManyWaitingCommandsAreRefused() throws IOException, InterruptedException {
    nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ofSeconds(60));
    String target = "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=150000&block=false";
    try (RawConnection connection = server.connect()) {
      RawResponse response;
      int sent = 0;
      do {
        connection.send(RawConnection.request("POST", target));
        response = connection.readResponse();
        sent++;
      } while (response.status() == 200 && sent < 5000);
      response.assertError(429, "local user", "commands waiting for GPU 0", "share");
      assertTrue(Integer.parseInt(response.header("Retry-After")) > 0);
      assertTrue(sent > 1000, "refused after " + sent);
      assertEquals(
          200, post(target.replace("gpu_ids=0", "gpu_ids=1")).status(), "another GPU's queue");
    } finally {
      nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ZERO);
    }
  }

  /** One client's writes, 50 s of them, against everybody's reads. */
  @Test
  void readsTakeTurnsWithWritesThatWait() throws Exception {
    nvml.gpu(1).delay(Call.SET_POWER_LIMIT, Duration.ofMillis(50));
    String write = "/gpu/set_power_limit?gpu_ids=1&power_limit_mw=200000&block=false";
    try (TestServer both =
            TestServer.start(
                Transport.UDS,
                EnumSet.of(ApiGroup.GPU_CONTROL, ApiGroup.GPU_READ),
                Optional.empty());
        RawConnection writer = both.connect();
        RawConnection reader = both.connect()) {
      int refused = 0;
      for (int i = 0; i < 1040; i++) {
        writer.send(RawConnection.request("POST", write));
        refused += writer.readResponse().status() == 503 ? 1 : 0;
      }
      assertTrue(refused <= 20, refused + " writes refused");
      List<Long> between = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        for (String read :
            List.of("power", "power_limit", "persistence_mode", "cumulative_energy")) {
          long before = nvml.gpu(1).calls(Call.SET_POWER_LIMIT);
          RawResponse response = reader.get("/gpu/get_" + read + "?gpu_ids=1");
          between.add(nvml.gpu(1).calls(Call.SET_POWER_LIMIT) - before);
          assertEquals(200, response.status(), response::toString);
        }
      }
      // One as a rule: more only where this thread hears late of an answer.
      between.sort(Long::compare);
      assertTrue(between.get(between.size() / 2) <= 2, () -> "writes during reads: " + between);
    } finally {
      nvml.gpu(1).delay(Call.SET_POWER_LIMIT, Duration.ZERO);
    }
  }
}
