package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Metronome;
import dev.zeusd.core.settings.LeaseLines;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Leases, over real connections down to the driver's calls. */
@Timeout(60)
class LeaseTest {
  private static final Pattern TAKEN =
      Pattern.compile(
          "\\{\"lease_id\":\"([0-9a-f]{32})\",\"epoch\":([0-9]+),\"expires_in_ms\":([0-9]+),"
              + "\"crash_safe\":(?:true|false),\"saved\":(.*)}");

  private final FakeNvml nvml = TestServer.freshNvml();
  private TestServer server;

  private void start(Transport transport) throws IOException {
    server =
        TestServer.start(
            transport, EnumSet.of(ApiGroup.GPU_CONTROL, ApiGroup.GPU_READ), Optional.empty());
  }

  @AfterEach
  void stop() throws IOException {
    server.close();
  }

  private RawResponse ask(String method, String target, String... headers) throws IOException {
    List<String> lines = new ArrayList<>(List.of(headers));
    try (RawConnection connection = server.connect()) {
      connection.send(RawConnection.request(method, target, lines.toArray(String[]::new)));
      return connection.readResponse();
    }
  }

  private record Taken(String id, String epoch, String saved) {
    String header() {
      return "Zeusd-Lease: " + id + ":" + epoch;
    }
  }

  private Taken take(String query, String... headers) throws IOException {
    RawResponse response = ask("POST", "/lease?" + query, headers);
    assertEquals(201, response.status(), response::toString);
    Matcher taken = TAKEN.matcher(response.body());
    assertTrue(taken.matches(), response::body);
    return new Taken(taken.group(1), taken.group(2), taken.group(4));
  }

  private void setLimit(int gpu, int mw, int status, String... headers) throws IOException {
    RawResponse response =
        ask(
            "POST",
            "/gpu/set_power_limit?block=true&gpu_ids=" + gpu + "&power_limit_mw=" + mw,
            headers);
    assertEquals(status, response.status(), response::toString);
  }

  private static void await(Await.Condition condition) throws InterruptedException {
    Await.until("what was waited for", condition);
  }

  @ParameterizedTest
  @EnumSource
  void takesWritesAndPutsBack(Transport transport) throws IOException {
    start(transport);
    Taken lease = take("gpu_ids=0,1&keys=power_limit,gpu_clocks,persistence_mode&ttl_s=30");
    assertEquals(
        "{\"0\":{\"gpu_clocks\":null,\"power_limit_mw\":300000,\"persistence_mode\":false},"
            + "\"1\":{\"gpu_clocks\":null,\"power_limit_mw\":300000,\"persistence_mode\":false}}",
        lease.saved);
    setLimit(0, 200_000, 200, lease.header());
    assertEquals(200_000, nvml.gpu(0).powerLimitMw());
    assertEquals(
        200,
        ask(
                "POST",
                "/gpu/set_gpu_locked_clocks?gpu_ids=0&min_clock_mhz=300&max_clock_mhz=900&block=true",
                lease.header())
            .status());
    ask("POST", "/lease/renew?lease_id=" + lease.id)
        .assertOkMatching(
            "\\{\"lease_id\":\"" + lease.id + "\",\"epoch\":[0-9]+,\"expires_in_ms\":30000}");
    ask("POST", "/lease/end?lease_id=" + lease.id)
        .assertOk(
            "{\"lease_id\":\""
                + lease.id
                + "\",\"gpus\":{\"0\":{\"gpu_clocks\":{\"result\":\"restored\"},"
                + "\"power_limit\":{\"result\":\"restored\"},"
                + "\"persistence_mode\":{\"result\":\"unchanged\"}},"
                + "\"1\":{\"gpu_clocks\":{\"result\":\"unchanged\"},"
                + "\"power_limit\":{\"result\":\"unchanged\"},"
                + "\"persistence_mode\":{\"result\":\"unchanged\"}}}}");
    assertEquals(300_000, nvml.gpu(0).powerLimitMw());
    ask("POST", "/lease/end?lease_id=" + lease.id).assertError(410, "POST /lease");
    setLimit(0, 200_000, 410, lease.header());
    ask("POST", "/lease/renew?lease_id=" + lease.id)
        .assertError(
            410, "there is no such lease, or it has ended; take another one with POST /lease");
    setLimit(0, 250_000, 200);
    server.get("/leases").assertOk("{\"leases\":[]}");
  }

  @Test
  void othersAreToldWhoHoldsIt() throws IOException {
    start(Transport.UDS);
    Taken lease = take("gpu_ids=1&keys=power_limit,mem_clocks&ttl_s=30");
    RawResponse busy = ask("POST", "/lease?gpu_ids=0,1&keys=power_limit&ttl_s=5");
    assertEquals(409, busy.status());
    assertTrue(
        busy.body()
            .matches(
                "\\{\"error\":\"power_limit of GPU 1 is held by lease [0-9]+ of local user .*\","
                    + "\"holder\":\"local user .*\",\"expires_in_ms\":[0-9]+}"),
        busy.body());
    RawResponse locked =
        ask("POST", "/gpu/set_power_limit?block=true&gpu_ids=0,1&power_limit_mw=200000");
    assertEquals(423, locked.status());
    assertTrue(locked.body().contains("\"holder\":\"local user"), locked.body());
    assertEquals(0, nvml.gpu(0).calls(Call.SET_POWER_LIMIT));
    assertEquals(423, ask("POST", "/gpu/reset_locked_clocks?block=false&gpu_ids=1").status());
    // As ever elsewhere.
    setLimit(0, 200_000, 200);
    assertEquals(200, ask("POST", "/gpu/reset_gpu_locked_clocks?block=true&gpu_ids=1").status());
    ask("POST", "/gpu/set_power_limit?block=true&gpu_ids=0&power_limit_mw=1", lease.header())
        .assertError(
            400, "does not hold power_limit of GPU 0: take one that does, with POST /lease");
    setLimit(1, 200_000, 410, "Zeusd-Lease: " + lease.id + ":1");
    setLimit(1, 200_000, 410, "Zeusd-Lease: 00:" + lease.epoch);
    setLimit(1, 200_000, 400, "Zeusd-Lease: " + lease.id);
    setLimit(1, 200_000, 400, lease.header(), lease.header());
    setLimit(1, 200_000, 400, lease.header(), "Zeusd-Lease: 00:" + lease.epoch);
    server
        .get("/leases")
        .assertOkMatching(
            "\\{\"leases\":\\[\\{\"lease_id\":\""
                + lease.id
                + "\",\"holder\":\"local user .*\",\"gpu_ids\":\\[1],"
                + "\"keys\":\\[\"mem_clocks\",\"power_limit\"],\"expires_in_ms\":[0-9]+,"
                + "\"state\":\"active\"}]}");
  }

  @ParameterizedTest
  @CsvSource({
    "keys=power_limit&ttl_s=5,gpu_ids",
    "gpu_ids=0&ttl_s=5,keys",
    "gpu_ids=0&keys=power_limit,ttl_s",
    "gpu_ids=0&keys=fan&ttl_s=5,power_limit",
    "gpu_ids=0&keys=&ttl_s=5,keys",
    "gpu_ids=0&keys=power_limit&ttl_s=0,1 to 604800",
    "gpu_ids=0&keys=power_limit&ttl_s=5&wait_s=9999,0 to 3600",
    "gpu_ids=0&keys=power_limit&ttl_s=5&on_end=forget,restore or keep",
    "gpu_ids=9&keys=power_limit&ttl_s=5,device 9",
  })
  void refusesWhatMakesNoSense(String query, String mentioned) throws IOException {
    start(Transport.UDS);
    // The keys of a row are cut at its comma.
    ask("POST", "/lease?" + query).assertError(400, mentioned.strip());
  }

  @Test
  void aResetOfTheLimitIsAWriteAsAnyOther() throws IOException {
    start(Transport.UDS);
    setLimit(0, 200_000, 200);
    Taken lease = take("gpu_ids=0&keys=power_limit&ttl_s=30");
    String reset = "/gpu/reset_power_limit?block=true&gpu_ids=0";
    assertEquals(423, ask("POST", reset).status());
    assertEquals(200_000, nvml.gpu(0).powerLimitMw());
    assertEquals(200, ask("POST", reset, lease.header()).status());
    assertEquals(300_000, nvml.gpu(0).powerLimitMw());
    assertEquals(200, ask("POST", "/lease/end?lease_id=" + lease.id()).status());
    assertEquals(200_000, nvml.gpu(0).powerLimitMw(), "it is put back");
  }

  @Test
  void whoWaitsIsServedWhenTheOtherEnds() throws Exception {
    start(Transport.TCP);
    Taken lease = take("gpu_ids=0&keys=power_limit&ttl_s=30");
    setLimit(0, 200_000, 200, lease.header());
    try (RawConnection waiting = server.connect()) {
      waiting.send(
          RawConnection.request("POST", "/lease?gpu_ids=0&keys=power_limit&ttl_s=30&wait_s=30"));
      ask("POST", "/lease/end?lease_id=" + lease.id);
      RawResponse taken = waiting.readResponse();
      assertEquals(201, taken.status());
      assertTrue(taken.body().contains("\"power_limit_mw\":300000"), taken.body());
    }
  }

  @ParameterizedTest
  @EnumSource
  void aStreamKeepsALeaseUntilItsClientLeaves(Transport transport) throws Exception {
    start(transport);
    Held held = hold();
    Taken lease = held.lease;
    long left;
    try (EventStream stream = held.stream) {
      assertEquals(
          "{\"epoch\":" + lease.epoch + ",\"state\":\"held\",\"ttl_ms\":1000}", stream.nextData());
      setLimit(0, 200_000, 200, lease.header());
      for (int beat = 0; beat < 3; beat++) {
        assertTrue(EventStream.isComment(stream.next(RawConnection.PATIENCE)));
      }
      assertEquals(200_000, nvml.gpu(0).powerLimitMw());
      assertTrue(server.get("/leases").body().contains("\"state\":\"kept\""));
      left = System.nanoTime();
    }
    await(() -> nvml.gpu(0).powerLimitMw() == 300_000);
    assertTrue(System.nanoTime() - left >= TimeUnit.MILLISECONDS.toNanos(900));
    server.get("/lease/hold?lease_id=" + lease.id).assertError(410, "no such lease");
  }

  private record Held(Taken lease, EventStream stream) {}

  /**
   * A lease with a TTL of a second, and the stream that keeps it. Where the machine stands still
   * for that second before the stream is open, the lease is over, as it has to be: then another
   * one.
   */
  private Held hold() throws IOException {
    while (true) {
      long begun = System.nanoTime();
      Taken lease = take("gpu_ids=0&keys=power_limit&ttl_s=1");
      RawConnection connection = server.connect();
      connection.send(RawConnection.request("GET", "/lease/hold?lease_id=" + lease.id));
      RawResponse head = connection.readHead();
      if (head.status() == 200) {
        return new Held(lease, connection.readStream(head));
      }
      connection.readBody(head).assertError(410, "no such lease");
      connection.close();
      assertTrue(System.nanoTime() - begun >= TimeUnit.MILLISECONDS.toNanos(900), "too early");
    }
  }

  /** Of a few, one is not late for the machine's reasons. */
  @Test
  @Timeout(120)
  void whatAKilledClientHeldByAStreamComesBackWithinASecondAfterTheTtl() throws Exception {
    start(Transport.UDS);
    // Longer than curl takes to start on a busy machine.
    Duration ttl = Duration.ofSeconds(3);
    Duration took = Duration.ofDays(1);
    for (int i = 0; i < 5 && took.compareTo(ttl.plusSeconds(1)) > 0; i++) {
      took = killWhoHoldsByStream(ttl);
    }
    assertTrue(took.compareTo(ttl.plusSeconds(1)) <= 0, "came back after " + took);
  }

  /** How long it takes to come back, by a clock that stands still where this machine does. */
  private Duration killWhoHoldsByStream(Duration ttl) throws Exception {
    Taken lease = take("gpu_ids=0&keys=power_limit&ttl_s=" + ttl.toSeconds());
    String socket = ((UnixDomainSocketAddress) server.address()).getPath().toString();
    Process client =
        new ProcessBuilder(
                "curl", "-sN", "--unix-socket", socket, "http://x/lease/hold?lease_id=" + lease.id)
            .start();
    try (BufferedReader events = client.inputReader()) {
      String held = events.readLine();
      if (held.startsWith("{\"error\"")) {
        // Over before curl had started, on a machine that stood still.
        return Duration.ofDays(1);
      }
      assertTrue(held.contains("\"state\":\"held\""), held);
      setLimit(0, 200_000, 200, lease.header());
      // Longer than the TTL: the rest of the first event, and two lines a second.
      for (int line = 0; line < 1 + 2 * (ttl.toSeconds() + 1); line++) {
        assertNotNull(events.readLine());
      }
      assertEquals(200_000, nvml.gpu(0).powerLimitMw());
      long killed = System.nanoTime();
      try (Metronome metronome = new Metronome()) {
        client.destroyForcibly();
        await(() -> nvml.gpu(0).powerLimitMw() == 300_000);
        Duration took = Duration.ofNanos(System.nanoTime() - killed);
        assertTrue(took.compareTo(ttl.minusMillis(100)) > 0, "too early: " + took);
        return Duration.ofMillis(metronome.beats());
      }
    } finally {
      client.destroyForcibly();
    }
  }

  @Test
  void aRestoreThatHangsOnOneGpuOfEightDelaysTheOthersByNothing() throws Exception {
    nvml.deviceCount(8);
    start(Transport.UDS);
    Taken lease = take("gpu_ids=0,1,2,3,4,5,6,7&keys=power_limit&ttl_s=30");
    String all = "/gpu/set_power_limit?block=true&gpu_ids=0,1,2,3,4,5,6,7&power_limit_mw=200000";
    assertEquals(200, ask("POST", all, lease.header()).status());
    nvml.gpu(3).delay(Call.SET_POWER_LIMIT, Duration.ofMinutes(1));
    nvml.gpu(5).error(Call.SET_POWER_LIMIT, 999);
    try (RawConnection ending = server.connect()) {
      ending.send(RawConnection.request("POST", "/lease/end?lease_id=" + lease.id));
      for (int gpu : List.of(0, 1, 2, 4, 6, 7)) {
        await(() -> nvml.gpu(gpu).powerLimitMw() == 300_000);
      }
      assertEquals(1, nvml.gpu(3).inFlight(), "the others have waited for it");
    } finally {
      nvml.gpu(3).delay(Call.SET_POWER_LIMIT, Duration.ZERO);
    }
  }

  @Test
  void oneLeaseIsKeptByAFewStreamsAndTheOldestMakesRoom() throws Exception {
    start(Transport.TCP);
    Held held = hold();
    List<EventStream> streams = new ArrayList<>(List.of(held.stream));
    try {
      while (streams.size() < 6) {
        streams.add(server.stream("/lease/hold?lease_id=" + held.lease.id));
      }
      await(() -> server.get("/metrics").body().contains("zeusd_streams_open 4.0"));
      // One comes each second, so its TTL would be over after the second one.
      for (int comments = 0; comments < 2; ) {
        comments += EventStream.isComment(streams.getLast().next(RawConnection.PATIENCE)) ? 1 : 0;
      }
      assertTrue(server.get("/leases").body().contains("\"state\":\"kept\""));
    } finally {
      for (EventStream stream : streams) {
        stream.close();
      }
    }
  }

  @Test
  void aHeadOfAStreamDoesNotKeepTheLease() throws Exception {
    start(Transport.TCP);
    Taken lease = take("gpu_ids=0&keys=power_limit&ttl_s=2");
    long taken = System.nanoTime();
    while (server.get("/leases").body().contains(lease.id)) {
      try (RawConnection connection = server.connect()) {
        connection.send(RawConnection.request("HEAD", "/lease/hold?lease_id=" + lease.id));
        int status = connection.readHead().status();
        assertTrue(status == 200 || status == 410, "status " + status);
      }
      assertTrue(System.nanoTime() - taken < TimeUnit.SECONDS.toNanos(30), "it is kept");
    }
  }

  @ParameterizedTest
  @EnumSource
  void whoLeavesWhileItWaitsGetsNothing(Transport transport) throws Exception {
    start(transport);
    Taken lease = take("gpu_ids=0&keys=power_limit&ttl_s=60");
    String wait =
        RawConnection.request("POST", "/lease?gpu_ids=0&keys=power_limit&ttl_s=60&wait_s=30");
    RawConnection leaves = server.connect().send(wait);
    await(() -> LeaseLines.waiting(server.node().leases()) == 1);
    try (RawConnection stays = server.connect().send(wait)) {
      await(() -> LeaseLines.waiting(server.node().leases()) == 2);
      leaves.close();
      await(() -> LeaseLines.waiting(server.node().leases()) == 1);
      assertEquals(200, ask("POST", "/lease/end?lease_id=" + lease.id).status());
      RawResponse taken = stays.readResponse();
      assertEquals(201, taken.status(), taken::toString);
      // What a client may have sent while it waited is lost.
      assertEquals("close", taken.header("Connection"));
      stays.assertEnd();
    }
  }

  @ParameterizedTest
  @CsvSource({"1.1, true", "1.0, false"})
  void aStreamEndsWithItsLease(String version, boolean isChunked) throws Exception {
    start(Transport.UDS);
    Taken lease = take("gpu_ids=0&keys=power_limit&ttl_s=30");
    String request =
        "GET /lease/hold?lease_id=" + lease.id + " HTTP/" + version + "\r\nHost: x\r\n\r\n";
    try (RawConnection connection = server.connect().send(request)) {
      EventStream stream = connection.readStream();
      assertEquals(isChunked, stream.isChunked());
      assertTrue(stream.nextData().contains("\"state\":\"held\""));
      // It has no meaning within a stream.
      connection.send("GET /time HTTP/1.1\r\nHost: x\r\n\r\n");
      assertTrue(EventStream.isComment(stream.next(RawConnection.PATIENCE)));
      ask("POST", "/lease/end?lease_id=" + lease.id);
      String data = stream.nextData();
      assertTrue(data.contains("\"state\":\"ended\""), data);
      stream.assertEndsProperly();
    }
  }

  @Test
  void aGpuThatFailsIsShownAndDelaysNoOther() throws Exception {
    start(Transport.UDS);
    Taken lease = take("gpu_ids=0,1&keys=power_limit&ttl_s=30");
    setLimit(0, 200_000, 200, lease.header());
    setLimit(1, 200_000, 200, lease.header());
    nvml.gpu(0).error(Call.SET_POWER_LIMIT, 999);
    String ended = ask("POST", "/lease/end?lease_id=" + lease.id).body();
    assertTrue(ended.contains("\"0\":{\"power_limit\":{\"result\":\"pending\",\"error\":"), ended);
    assertTrue(ended.contains("\"1\":{\"power_limit\":{\"result\":\"restored\"}}"), ended);
    String pending = server.get("/leases").body();
    assertTrue(pending.contains("\"state\":\"pending\",\"errors\":{\"0\":"), pending);
    nvml.gpu(0).error(Call.SET_POWER_LIMIT, 0);
    await(() -> nvml.gpu(0).powerLimitMw() == 300_000);
  }

  @Test
  void aLeaseOfAGpuThatDoesNotAnswerIsNotHad() throws IOException {
    start(Transport.UDS);
    nvml.gpu(1).error(Call.GET_POWER_LIMIT, 999);
    RawResponse response = ask("POST", "/lease?gpu_ids=0,1&keys=power_limit&ttl_s=30");
    assertEquals(500, response.status());
    assertTrue(response.body().startsWith("{\"errors\":{\"1\":"), response.body());
    setLimit(0, 200_000, 200);
  }

  @Test
  void othersLeasesAreForAdmins(@TempDir Path dir) throws IOException {
    Path key = dir.resolve("key");
    Files.writeString(key, "k".repeat(32));
    Tokens tokens = Tokens.withKeyFile(key);
    server = TestServer.start(Transport.TCP, EnumSet.of(ApiGroup.GPU_CONTROL), Optional.of(tokens));
    String alice = bearer(tokens, "alice", "gpu-control");
    String bob = bearer(tokens, "bob", "gpu-control");
    String admin = bearer(tokens, "root", Claims.LEASE_ADMIN);
    Taken lease = take("gpu_ids=0&keys=power_limit&ttl_s=30", alice);
    assertTrue(ask("GET", "/leases", alice).body().contains(lease.id));
    assertEquals("{\"leases\":[]}", ask("GET", "/leases", bob).body());
    assertTrue(ask("GET", "/leases", admin).body().contains("\"holder\":\"user 'alice'\""));
    assertEquals(403, ask("GET", "/leases", bearer(tokens, "eve", "gpu-read")).status());
    assertEquals(401, ask("GET", "/leases").status());
    assertEquals(403, ask("POST", "/lease?gpu_ids=0&keys=power_limit&ttl_s=1", admin).status());
    assertEquals(200, ask("POST", "/lease/end?lease_id=" + lease.id, admin).status());
  }

  private static String bearer(Tokens tokens, String user, String scope) {
    return "Authorization: Bearer "
        + tokens.issue(new Claims(user, List.of(scope), Optional.empty()));
  }
}
