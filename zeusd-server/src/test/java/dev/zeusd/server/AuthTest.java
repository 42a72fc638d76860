package dev.zeusd.server;

import static dev.zeusd.server.TestTokens.HS256;
import static dev.zeusd.server.TestTokens.KEY;
import static dev.zeusd.server.TestTokens.bearer;
import static dev.zeusd.server.TestTokens.header;
import static dev.zeusd.server.TestTokens.hs256;
import static dev.zeusd.server.TestTokens.signed;
import static dev.zeusd.server.TestTokens.unsigned;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Who gets past, and who does not: over real connections, with tokens made by hand. */
class AuthTest {
  private static final String SET_LIMIT =
      "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000&block=true";

  private final FakeNvml nvml = TestServer.freshNvml();
  private TestServer server;
  private long callsBefore;

  @BeforeEach
  void start() throws IOException {
    server =
        TestServer.start(
            Transport.TCP, EnumSet.allOf(ApiGroup.class), Optional.of(TestTokens.checker()));
    callsBefore = nvml.totalCalls();
  }

  @AfterEach
  void stop() throws IOException {
    server.close();
  }

  private RawResponse request(String method, String target, String... headers) throws IOException {
    try (RawConnection connection = server.connect()) {
      connection.send(RawConnection.request(method, target, headers));
      return connection.readResponse();
    }
  }

  private void assertNothingTouched() {
    assertEquals(callsBefore, nvml.totalCalls(), "calls of the driver");
  }

  @Test
  void discoveryAndTimeAreOpenToAll() throws IOException {
    RawResponse discovery = request("GET", "/discover");
    assertEquals(200, discovery.status());
    assertTrue(discovery.body().endsWith("\"auth_required\":true}"), discovery.body());
    assertEquals(200, request("GET", "/time").status());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/gpu/get_power",
        "/gpu/stream_power",
        "/gpu/get_cumulative_energy",
        "/gpu/get_power_limit",
        "/cpu/get_power",
        "/cpu/stream_power",
        "/cpu/get_cumulative_energy?cpu=true&dram=true",
        "/auth/whoami"
      })
  void readsNeedAToken(String target) throws IOException {
    RawResponse refused = request("GET", target);
    refused.assertError(401, "Authorization");
    assertEquals("Bearer realm=\"zeusd\"", refused.header("WWW-Authenticate"));
    assertNothingTouched();
  }

  @Test
  void aTokenWithTheScopeGetsPast() throws IOException {
    assertEquals(200, request("GET", "/gpu/get_power", header("gpu-read")).status());
    assertEquals(200, request("POST", SET_LIMIT, header("gpu-read", "gpu-control")).status());
    assertEquals(200_000, nvml.gpu(0).powerLimitMw());
    assertEquals(
        200,
        request("GET", "/gpu/get_power", header("gpu-read").replace("Bearer", "bEARER")).status());
  }

  @Test
  void aTokenWithoutTheScopeDoesNot() throws IOException {
    request("POST", SET_LIMIT, header("gpu-read", "cpu-read"))
        .assertError(403, "alice", "gpu-control", "gpu-read, cpu-read");
    request("GET", "/gpu/get_power", header()).assertError(403, "alice", "gpu-read", "none");
    request("GET", "/cpu/get_power", header("gpu-read")).assertError(403, "cpu-read");
    assertNothingTouched();
  }

  @Test
  void tellsWhoATokenBelongsTo() throws IOException {
    request("GET", "/auth/whoami", header("gpu-read"))
        .assertOk("{\"sub\":\"alice\",\"scopes\":[\"gpu-read\"]}");
    long exp = System.currentTimeMillis() / 1000 + 1000;
    request(
            "GET",
            "/auth/whoami",
            bearer(hs256("{\"sub\":\"bob\",\"scopes\":[],\"exp\":" + exp + "}")))
        .assertOk("{\"sub\":\"bob\",\"scopes\":[],\"exp\":" + exp + "}");
  }

  @Test
  void withoutAKeyThereIsNobodyToAskAfter() throws IOException {
    try (TestServer open = TestServer.start(Transport.UDS)) {
      open.get("/auth/whoami").assertError(404, "/auth/whoami");
    }
  }

  /**
   * A token of the Rust daemon 0.5.0: {@code zeusd token issue --user bob --scope
   * gpu-read,gpu-control --expires never}, with the same key.
   */
  @Test
  void takesTokensOfTheRustDaemon() throws IOException {
    String token =
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IiLCJzY29wZXMiOlsiZ"
            + "3B1LXJlYWQiLCJncHUtY29udHJvbCJdfQ.4mQoAVczzP50ciBfrfdVYclm1RcT__Fz_iDY"
            + "29dFhiM";
    request("GET", "/auth/whoami", bearer(token))
        .assertOk("{\"sub\":\"bob\",\"scopes\":[\"gpu-read\",\"gpu-control\"]}");
  }

  private static String claims(String rest) {
    return "{\"sub\":\"alice\",\"scopes\":[\"gpu-read\"]" + rest + "}";
  }

  static Stream<Arguments> badTokens() {
    long now = System.currentTimeMillis() / 1000;
    String good = hs256(claims(""));
    String hs512 = HS256.replace("HS256", "HS512");
    String none = HS256.replace("HS256", "none");
    return Stream.of(
        Arguments.of("empty", ""),
        Arguments.of("no token at all", "hello"),
        Arguments.of("two parts", good.substring(0, good.lastIndexOf('.'))),
        Arguments.of("alg none", unsigned(none, claims(""))),
        Arguments.of("alg none, signed", signed(none, claims(""), "HmacSHA256", KEY)),
        Arguments.of("alg NONE", unsigned(none.replace("none", "NONE"), claims(""))),
        Arguments.of("HS512", signed(hs512, claims(""), "HmacSHA512", KEY)),
        Arguments.of("HS512 in the header only", signed(hs512, claims(""), "HmacSHA256", KEY)),
        Arguments.of("RS256", signed(HS256.replace("HS", "RS"), claims(""), "HmacSHA256", KEY)),
        Arguments.of("no alg", signed("{\"typ\":\"JWT\"}", claims(""), "HmacSHA256", KEY)),
        Arguments.of(
            "an unknown critical header",
            signed("{\"alg\":\"HS256\",\"crit\":[\"x\"],\"x\":1}", claims(""), "HmacSHA256", KEY)),
        Arguments.of("another key", signed(HS256, claims(""), "HmacSHA256", KEY.strip())),
        Arguments.of("no signature", unsigned(HS256, claims(""))),
        Arguments.of("tampered signature", tamper(good, good.length() - 5)),
        Arguments.of("tampered payload", tamper(good, good.indexOf('.') + 10)),
        Arguments.of("no sub", hs256("{\"scopes\":[\"gpu-read\"]}")),
        Arguments.of("sub is a number", hs256("{\"sub\":1,\"scopes\":[\"gpu-read\"]}")),
        Arguments.of("no scopes", hs256("{\"sub\":\"alice\"}")),
        Arguments.of("scopes is a string", hs256("{\"sub\":\"alice\",\"scopes\":\"gpu-read\"}")),
        Arguments.of("scopes holds a number", hs256("{\"sub\":\"alice\",\"scopes\":[1]}")),
        Arguments.of("scopes is null", hs256("{\"sub\":\"alice\",\"scopes\":null}")),
        Arguments.of("expired", hs256(claims(",\"exp\":" + (now - 120)))),
        Arguments.of("expired long ago", hs256(claims(",\"exp\":-9223372036854775808"))),
        Arguments.of("exp is a string", hs256(claims(",\"exp\":\"" + (now + 1000) + "\""))),
        Arguments.of("exp is a list", hs256(claims(",\"exp\":[1]"))),
        Arguments.of("payload is a list", hs256("[]")),
        Arguments.of("header is null", signed("null", claims(""), "HmacSHA256", KEY)),
        Arguments.of("a deep header", signed("[".repeat(10_000), claims(""), "HmacSHA256", KEY)),
        Arguments.of("payload is no JSON", hs256("hello")));
  }

  private static String tamper(String token, int index) {
    char other = token.charAt(index) == 'A' ? 'B' : 'A';
    return token.substring(0, index) + other + token.substring(index + 1);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("badTokens")
  void refusesBadTokens(String what, String token) throws IOException {
    RawResponse refused = request("GET", "/gpu/get_power", bearer(token));
    refused.assertError(401);
    assertEquals("Bearer realm=\"zeusd\"", refused.header("WWW-Authenticate"));
    assertTrue(token.length() < 8 || !refused.body().contains(token), "shows the token");
    assertNothingTouched();
  }

  @Test
  void clocksMayDifferByAMinute() throws IOException {
    long now = System.currentTimeMillis() / 1000;
    String justEnded = bearer(hs256(claims(",\"exp\":" + (now - 30))));
    assertEquals(200, request("GET", "/gpu/get_power", justEnded).status());
  }

  /** With steady power only heartbeats are written, with changing power samples. */
  @ParameterizedTest
  @CsvSource({"sample, false", "sample, true", "snapshot, false", "snapshot, true"})
  void aStreamEndsWhenItsTokenDoes(String format, boolean changing) throws IOException {
    if (changing) {
      nvml.gpu(0).countingPower(0);
    }
    String target = "/gpu/stream_power?format=" + format;
    long leewayMs = 60_000;
    try (EventStream endless = server.connect().stream(target, header("gpu-read"));
        RawConnection connection = server.connect()) {
      long exp = (System.currentTimeMillis() + 3000 - leewayMs) / 1000;
      EventStream ending = connection.stream(target, bearer(hs256(claims(",\"exp\":" + exp))));
      ending.nextData();
      assertTimeoutPreemptively(RawConnection.PATIENCE, ending::assertEndsProperly);
      assertTrue(System.currentTimeMillis() >= 1000 * exp + leewayMs, "ended too early");
      endless.nextData();
      for (int i = 0; i < 3; i++) {
        assertNotEquals("", endless.next(RawConnection.PATIENCE));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"Basic YWxpY2U6eA==", "Bearer", "Bearer a b", "Bearer  ", "Token x"})
  void refusesOtherSchemes(String value) throws IOException {
    request("GET", "/gpu/get_power", "Authorization: " + value).assertError(401);
    assertNothingTouched();
  }

  @Test
  void refusesTwoTokens() throws IOException {
    request("GET", "/gpu/get_power", header("gpu-read"), header("gpu-read")).assertError(401);
    assertNothingTouched();
  }

  /** Whatever a path is spelled like, it reaches the command only with the command's scope. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "/gpu/set_power_limit",
        "//gpu/set_power_limit",
        "/gpu//set_power_limit",
        "///gpu/set_power_limit",
        "/./gpu/set_power_limit",
        "/gpu/./set_power_limit",
        "/time/../gpu/set_power_limit",
        "/gpu/get_power/../set_power_limit",
        "/discover/%2e%2e/gpu/set_power_limit",
        "/gpu/%2e/set_power_limit",
        "/gpu/set%5Fpower_limit",
        "/gpu/set%5fpower%5flimit",
        "/%67%70%75/set_power_limit",
        "/gpu%2Fset_power_limit",
        "/gpu/set_power_limit/",
        "/gpu/set_power_limit;x=1",
        "/gpu;x/set_power_limit",
        "/gpu/set_power_limit%3Fx",
        "/GPU/set_power_limit",
        "/gpu/SET_POWER_LIMIT",
        "/gpu/set_power_limit%20",
        "/gpu/set_power_limit%00",
        "/gpu/%73et_power_limit",
        "/gpu/%2573et_power_limit",
        "http://zeusd/gpu/set_power_limit",
        "/auth/../gpu/set_power_limit",
        "/gpu/set_power_limit#x"
      })
  void noSpellingOfAPathGetsPastTheScope(String path) throws IOException {
    String query = SET_LIMIT.substring(SET_LIMIT.indexOf('?'));
    int hash = path.indexOf('#');
    String target =
        hash < 0 ? path + query : path.substring(0, hash) + query + path.substring(hash);
    for (String[] headers : new String[][] {{}, {header("gpu-read", "cpu-read")}}) {
      RawResponse response = request("POST", target, headers);
      assertTrue(response.status() >= 400 && response.status() < 500, response::toString);
      assertNotEquals(200_000, nvml.gpu(0).powerLimitMw());
    }
    assertNothingTouched();
  }

  @Test
  void theGroupIsAskedBeforeTheToken() throws IOException {
    try (TestServer readOnly =
        TestServer.start(
            Transport.UDS, EnumSet.of(ApiGroup.GPU_READ), Optional.of(TestTokens.checker()))) {
      readOnly.get("/cpu/get_power").assertError(404, "cpu-read");
      readOnly.get(SET_LIMIT).assertError(404, "gpu-control");
      readOnly.get("/nothing/here").assertError(404, "/nothing/here");
      readOnly.get("/gpu/get_power").assertError(401);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 31})
  void refusesShortKeys(int length, @TempDir Path dir) throws IOException {
    Path file = Files.writeString(dir.resolve("short.key"), "k".repeat(length));
    ServerStartException e =
        assertThrows(ServerStartException.class, () -> Tokens.withKeyFile(file));
    assertTrue(e.getMessage().contains("short.key") && e.getMessage().contains("32"));
  }

  @Test
  void refusesKeysThatAreNotThere(@TempDir Path dir) {
    ServerStartException e =
        assertThrows(
            ServerStartException.class, () -> Tokens.withKeyFile(dir.resolve("missing.key")));
    assertTrue(e.getMessage().contains("missing.key"));
    assertThrows(ServerStartException.class, () -> Tokens.withKeyFile(dir));
  }
}
