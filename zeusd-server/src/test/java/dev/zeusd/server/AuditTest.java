package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.server.audit.AuditLog;
import dev.zeusd.server.audit.AuditTarget;
import dev.zeusd.server.auth.Grant;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.auth.Who;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import jakarta.json.Json;
import jakarta.json.JsonObject;
import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the audit log is told, by real requests. */
class AuditTest {
  private static final String SET = "/gpu/set_power_limit?gpu_ids=%s&power_limit_mw=%d&block=%s";

  @TempDir private Path directory;

  private final FakeNvml nvml = TestServer.freshNvml();

  private Path file() {
    return directory.resolve("audit.log");
  }

  private AuditLog log() {
    return AuditLog.open(new AuditTarget.File(file()), false);
  }

  private TestServer start(Transport transport, AuditLog log) throws IOException {
    return TestServer.start(transport, config -> config.withAuditLog(Optional.of(log)));
  }

  private List<JsonObject> lines() {
    try {
      return Files.readAllLines(file()).stream()
          .map(line -> Json.createReader(new StringReader(line)).readObject())
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private List<JsonObject> lines(String event) {
    return lines().stream().filter(line -> line.getString("event").equals(event)).toList();
  }

  private static RawResponse send(
      TestServer server, String method, String target, String... headers) throws IOException {
    try (RawConnection connection = server.connect()) {
      return connection.send(RawConnection.request(method, target, headers)).readResponse();
    }
  }

  private static long epoch(JsonObject line) {
    return line.getJsonNumber("lease").longValue();
  }

  private static void assertHas(JsonObject line, String json) {
    Json.createReader(new StringReader(json.replace('\'', '"')))
        .readObject()
        .forEach((name, value) -> assertEquals(value, line.get(name), () -> name + ": " + line));
  }

  // ---- Requests ----

  @Test
  void aWriteIsALineBeforeItsAnswer() throws Exception {
    try (AuditLog log = log();
        TestServer server = start(Transport.UDS, log)) {
      assertEquals(200, server.post(SET.formatted("1,0", 250_000, true)).status());
      JsonObject line = lines().getLast();
      assertHas(
          line,
          "{'event':'request','method':'POST','path':'/gpu/set_power_limit','gpus':[0,1],"
              + "'query':'gpu_ids=1,0&power_limit_mw=250000&block=true',"
              + "'outcome':'allowed','status':200}");
      JsonObject peer = line.getJsonObject("peer");
      // Where the JVM was not started with what it takes, it is not known.
      int pid = (int) ProcessHandle.current().pid();
      assertEquals(pid, peer.getInt("pid", pid));
      assertEquals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"), peer.getInt("uid"));
      assertEquals(2, line.getJsonArray("changes").size());
      JsonObject change = line.getJsonArray("changes").getJsonObject(0);
      assertHas(
          change,
          "{'setting':'power_limit','old':{'power_limit_mw':300000},"
              + "'new':{'power_limit_mw':250000},'outcome':'done'}");
      assertTrue(change.getString("uuid").startsWith("GPU-"));

      server.post(
          "/gpu/set_gpu_locked_clocks?gpu_ids=2&block=true&min_clock_mhz=900&max_clock_mhz=1200");
      server.post("/gpu/reset_locked_clocks?gpu_ids=2&block=true");
      server.post("/gpu/reset_power_limit?gpu_ids=1&block=true");
      server.post("/gpu/set_persistence_mode?gpu_ids=1&block=true&enabled=true");
      String clocks = "{'gpu_clocks':{'min_clock_mhz':900,'max_clock_mhz':1200}}";
      List<JsonObject> all = lines("request");
      assertEquals(5, all.size());
      assertHas(
          all.get(1).getJsonArray("changes").getJsonObject(0),
          "{'old':{'gpu_clocks':null},'new':" + clocks + "}");
      assertHas(
          all.get(2).getJsonArray("changes").getJsonObject(0),
          "{'setting':'gpu_clocks','old':" + clocks + ",'new':{'gpu_clocks':null}}");
      assertHas(
          all.get(2).getJsonArray("changes").getJsonObject(1),
          "{'setting':'mem_clocks','old':{'mem_clocks':null}}");
      assertHas(
          all.get(3).getJsonArray("changes").getJsonObject(0),
          "{'old':{'power_limit_mw':250000},'new':{'power_limit_mw':300000}}");
      assertHas(
          all.get(4).getJsonArray("changes").getJsonObject(0),
          "{'old':{'persistence_mode':false},'new':{'persistence_mode':true}}");
    }
  }

  @Test
  void whatIsRefusedIsALineAndWhatIsReadIsNot() throws Exception {
    Grant grant =
        new Grant(
            List.of(Who.parse("uid:" + Files.getAttribute(Path.of("/proc/self"), "unix:uid"))),
            Set.of(ApiGroup.GPU_CONTROL),
            false,
            List.of(),
            Set.of(dev.zeusd.core.settings.SettingKey.POWER_LIMIT),
            Map.of());
    try (AuditLog log = log();
        TestServer server =
            TestServer.start(
                Transport.UDS,
                config ->
                    config.withAuditLog(Optional.of(log)).withPolicy(new Policy(List.of(grant))))) {
      server.get("/discover");
      server.get("/time");
      server.get("/no/such/path");
      assertEquals(404, server.post("/nothing").status());
      assertEquals(List.of(), lines());
      assertEquals(403, server.get("/gpu/get_power").status());
      assertHas(
          lines().getLast(),
          "{'method':'GET','path':'/gpu/get_power','outcome':'refused','status':403}");
      assertTrue(lines().getLast().getString("error").contains("may not use gpu-read"));
      assertEquals(
          403, server.post("/gpu/set_persistence_mode?gpu_ids=1&block=true&enabled=true").status());
      assertHas(lines().getLast(), "{'gpus':[1],'outcome':'refused','status':403}");
      assertEquals(400, server.post("/gpu/set_power_limit?gpu_ids=99&block=true").status());
      assertHas(lines().getLast(), "{'outcome':'refused','status':400}");
      assertEquals(
          410,
          send(server, "POST", SET.formatted("0", 200_000, true), "Zeusd-Lease: no:1").status());
      assertHas(lines().getLast(), "{'outcome':'refused','status':410}");
      // The driver's own refusal.
      assertEquals(400, server.post(SET.formatted("0", 1, true)).status());
      assertHas(
          lines().getLast().getJsonArray("changes").getJsonObject(0),
          "{'old':{'power_limit_mw':300000},'new':{'power_limit_mw':1},'outcome':'failed'}");
      assertEquals(5, lines().size());
      // Nobody makes lines of their own.
      server.post("/gpu/set_power_limit?gpu_ids=0%0A%7B%22event%22:%22forged%22%7D");
      server.post("/gpu/set_power_limit?%E2%80%A8%0A=%7B%22event%22%3A%22forged%22");
      assertEquals(7, lines("request").size());
    }
  }

  @Test
  void theTokenSaysWhoItWas() throws Exception {
    Tokens tokens = TestTokens.checker();
    String token =
        TestTokens.hs256(
            "{\"sub\":\"alice\\nroot\",\"scopes\":[\"gpu-control\"],\"jti\":\"id-1\"}");
    try (AuditLog log = log();
        TestServer server =
            TestServer.start(
                Transport.TCP,
                config -> withTokens(config, tokens).withAuditLog(Optional.of(log)))) {
      String limit = SET.formatted("0", 250_000, true);
      assertEquals(200, send(server, "POST", limit, TestTokens.bearer(token)).status());
      assertHas(lines().getLast(), "{'subject':'alice\\nroot','jti':'id-1','status':200}");
      assertEquals("127.0.0.1", lines().getLast().getJsonObject("peer").getString("address"));
      assertEquals(401, send(server, "POST", limit).status());
      assertHas(lines().getLast(), "{'outcome':'refused','status':401}");
      assertFalse(lines().getLast().containsKey("subject"));
      assertEquals(403, send(server, "GET", "/gpu/get_power", TestTokens.bearer(token)).status());
      assertHas(lines().getLast(), "{'jti':'id-1','outcome':'refused','status':403}");
      assertFalse(Files.readString(file()).contains(token), "a token is in the log");
    }
  }

  private static ServerConfig withTokens(ServerConfig config, Tokens tokens) {
    return new ServerConfig(
        config.listens().getFirst(), config.groups(), config.streamFormat(), Optional.of(tokens));
  }

  @Test
  void whatIsOnlyQueuedIsToldWhenItIsDone() throws Exception {
    try (AuditLog log = log();
        TestServer server = start(Transport.UDS, log)) {
      nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ofMillis(300));
      assertEquals(200, server.post(SET.formatted("0", 200_000, false)).status());
      JsonObject request = lines("request").getFirst();
      assertHas(request, "{'outcome':'queued','status':200,'gpus':[0]}");
      Await.until("it is done", () -> !lines("result").isEmpty());
      JsonObject result = lines("result").getFirst();
      assertEquals(request.getInt("id"), result.getInt("request"));
      assertHas(result, "{'gpu':0,'new':{'power_limit_mw':200000},'outcome':'done'}");
    }
  }

  @Test
  void aGpuThatHangsIsToldOnceAndAgainWhenItComesBack() throws Exception {
    try (AuditLog log = log();
        TestServer server = start(Transport.UDS, log)) {
      for (int i = 0; i < 200; i++) {
        // Until it counts as quick, and handlers ask it by themselves.
        server.post(SET.formatted("0", 200_000 + i, true));
      }
      int before = lines().size();
      nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ofSeconds(60));
      assertEquals(503, server.post(SET.formatted("0", 250_000, true)).status());
      assertEquals(before + 1, lines().size());
      JsonObject request = lines().getLast();
      assertHas(request, "{'outcome':'failed','status':503}");
      nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ZERO);
      Await.until("it is done", () -> !lines("result").isEmpty());
      assertEquals(request.getInt("id"), lines("result").getFirst().getInt("request"));
      assertEquals(before + 2, lines().size());
    }
  }

  // ---- Leases ----

  @Test
  void leasesAndWhatTheyPutBackAreTold() throws Exception {
    try (AuditLog log = log();
        TestServer server = start(Transport.UDS, log)) {
      RawResponse taken = server.post("/lease?gpu_ids=0,1&keys=power_limit&ttl_s=60");
      String id = taken.body().replaceAll(".*\"lease_id\":\"([^\"]+)\".*", "$1");
      long epoch = epoch(lines().getLast());
      assertHas(lines().getLast(), "{'path':'/lease','gpus':[0,1],'status':201}");
      assertEquals(
          200,
          send(
                  server,
                  "POST",
                  SET.formatted("0", 200_000, true),
                  "Zeusd-Lease: " + id + ":" + epoch)
              .status());
      assertEquals(epoch, epoch(lines().getLast()));
      assertEquals(423, server.post(SET.formatted("1", 200_000, true)).status());
      assertHas(lines().getLast(), "{'outcome':'refused','status':423}");
      try (EventStream stream = server.stream("/lease/hold?lease_id=" + id)) {
        stream.nextData();
        assertHas(
            lines().getLast(),
            "{'path':'/lease/hold','query':'lease_id=...','outcome':'allowed','lease':"
                + epoch
                + "}");
      }
      server.post("/lease/end?lease_id=" + id);
      assertHas(lines().getLast(), "{'path':'/lease/end','lease':" + epoch + ",'status':200}");
      assertHas(lines("lease_end").getFirst(), "{'lease':" + epoch + ",'why':'ended'}");
      assertHas(
          lines("restore").getFirst(),
          "{'gpu':0,'setting':'power_limit','new':{'power_limit_mw':300000},'outcome':'restored',"
              + "'lease':"
              + epoch
              + "}");
      assertEquals(1, lines("restore").size());
      server.post("/lease/renew?lease%5Fid=" + id);
      assertFalse(Files.readString(file()).contains(id), "the right to use a lease is in the log");
      // One that nobody ends.
      server.post("/lease?gpu_ids=2&keys=power_limit&ttl_s=1");
      Await.until("it expires", () -> lines("lease_end").size() == 2);
      assertHas(lines("lease_end").getLast(), "{'why':'expired'}");
    }
  }

  // ---- A log that cannot be written ----

  @Test
  void nothingIsDoneWithoutALogOnlyWhereThatIsAsked() throws Exception {
    AuditTarget full = new AuditTarget.File(Path.of("/dev/full"));
    String limit = SET.formatted("0", 250_000, true);
    try (AuditLog log = AuditLog.open(full, false);
        TestServer server = start(Transport.UDS, log)) {
      assertEquals(200, server.post(limit).status());
      assertEquals(200, server.post(limit).status());
    }
    try (AuditLog log = AuditLog.open(full, true);
        TestServer server = start(Transport.UDS, log)) {
      // The first one finds out.
      assertEquals(200, server.post(limit).status());
      long before = nvml.gpu(0).calls(Call.SET_POWER_LIMIT);
      server.post(limit).assertError(503, "the audit log cannot be written", "the disk is full");
      server.post("/lease?gpu_ids=0&keys=power_limit&ttl_s=60").assertError(503, "audit log");
      server.post("/gpu/release").assertError(503, "audit log");
      assertEquals(before, nvml.gpu(0).calls(Call.SET_POWER_LIMIT));
      assertEquals(200, server.get("/gpu/get_power").status());
    }
  }
}
