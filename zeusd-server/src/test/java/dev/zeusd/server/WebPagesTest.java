package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What browsers send for pages of other sites, and what is done with it. */
class WebPagesTest {
  private static final String TIME = "\\{\"timestamp_ms\":\\d+}";
  private static final String SET_LIMIT =
      "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000&block=true";
  private static final WebAccess ACCESS =
      new WebAccess(
          Set.of("GPU01.example"), Set.of("https://Dashboard.example", "http://localhost:3000"));

  private final FakeNvml nvml = TestServer.freshNvml();
  private TestServer server;
  private int port;
  private long callsOfStart;

  @BeforeEach
  void start() throws IOException {
    server = TestServer.start(Transport.TCP, Optional.empty(), ACCESS);
    port = ((InetSocketAddress) server.address()).getPort();
    callsOfStart = nvml.totalCalls();
  }

  @AfterEach
  void stop() throws IOException {
    server.close();
  }

  /** Headers as a whole, so that there may be several of a kind, or none; %d is the port. */
  private static RawResponse send(
      TestServer to, int port, String method, String target, String headers) throws IOException {
    String lines = headers.replace("%d", String.valueOf(port)).replace("; ", "\r\n");
    try (RawConnection connection = RawConnection.open(to.address())) {
      connection.send(method + " " + target + " HTTP/1.1\r\n" + lines + "\r\n\r\n");
      RawResponse response = connection.readResponse();
      connection.assertIdle();
      return response;
    }
  }

  private RawResponse send(String method, String target, String headers) throws IOException {
    return send(server, port, method, target, headers);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Host: evil.example",
        "Host: evil.example:%d",
        "Host: 127.0.0.1.evil.example:%d",
        "Host: localhost.evil.example",
        "Host: localhostx",
        "Host: evil.localhost:%d",
        "Host: gpu01.example.evil.example",
        "Host: xgpu01.example",
        "Host: 127.0.0.256",
        "Host: 2130706433",
        "Host: 127.1",
        "Host: evil.example.",
        "Host: 127.0.0.1:%d; Origin: http://evil.example",
        "Host: 127.0.0.1:%d; Origin: https://127.0.0.1:%d",
        "Host: 127.0.0.1:%d; Origin: http://127.0.0.1",
        "Host: 127.0.0.1:%d; Origin: http://127.0.0.1:1",
        "Host: 127.0.0.1:%d; Origin: http://localhost:%d",
        "Host: 127.0.0.1; Origin: http://127.0.0.1:8080",
        "Host: [::1]:%d; Origin: http://[::2]:%d",
        "Host: [::1]:%d; Origin: http://[::1]",
        "Host: 127.0.0.1:%d; Origin: null",
        "Host: 127.0.0.1:%d; Origin: garbage",
        "Host: 127.0.0.1:%d; Origin: http://127.0.0.1:%d@evil.example",
        "Host: 127.0.0.1:%d; Origin: http://127.0.0.1:%d http://evil.example",
        "Host: 127.0.0.1:%d; Origin: http://127.0.0.1:%d, http://evil.example",
        "Host: 127.0.0.1:%d; Origin: http://127.0.0.1:%d; Origin: http://evil.example",
        "Host: 127.0.0.1:%d; Origin: https://dashboard.example; Origin: http://evil.example",
        "Host: 127.0.0.1:%d; Origin: https://dashboard.example.evil.example",
        "Host: 127.0.0.1:%d; Origin: http://dashboard.example",
        "Host: 127.0.0.1:%d; Origin: https://dashboard.example:444",
        "Host: evil.example; Origin: https://dashboard.example",
        "Host: evil.example:%d; Origin: http://evil.example:%d; Sec-Fetch-Site: same-origin",
        "Host: localhost:%d; Sec-Fetch-Site: cross-site",
        "Host: localhost:%d; Sec-Fetch-Site: same-site",
        "Host: localhost:%d; Sec-Fetch-Site: Cross-Site",
        "Host: localhost:%d; Sec-Fetch-Site: whatever comes next",
        "Host: localhost:%d; Sec-Fetch-Site: none; Sec-Fetch-Site: cross-site",
        "Host: localhost:%d; Origin: http://localhost:%d; Sec-Fetch-Site: cross-site",
        "hOST: EVIL.example; ORIGIN: https://evil.example; sec-fetch-site: cross-site"
      })
  void refusesPagesOfOtherOrigins(String headers) throws IOException {
    send("POST", SET_LIMIT, headers).assertError(403, "--allowed-");
    send("GET", "/gpu/get_power", headers).assertError(403);
    send("GET", "/gpu/stream_power", headers).assertError(403);
    send("GET", "/discover", headers).assertError(403);
    send("GET", "/nowhere", headers).assertError(403);
    RawResponse preflight =
        send("OPTIONS", SET_LIMIT, headers + "; Access-Control-Request-Method: POST");
    preflight.assertError(403);
    assertEquals(callsOfStart, nvml.totalCalls());
    assertEquals(300_000, nvml.gpu(0).powerLimitMw());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Host: 127.0.0.1",
        "Host: 127.0.0.1:%d",
        "Host: 192.168.0.7:80",
        "Host: [::1]:%d",
        "Host: [FE80::1]",
        "Host: LocalHost:%d",
        "Host: localhost.:%d",
        "Host: gpu01.EXAMPLE",
        "Host: gpu01.example.:%d",
        "Host: 127.0.0.1:%d; Origin: http://127.0.0.1:%d",
        "Host: 127.0.0.1; Origin: http://127.0.0.1",
        "Host: 127.0.0.1:80; Origin: http://127.0.0.1",
        "Host: Localhost:%d; Origin: http://localhost:%d; Sec-Fetch-Site: same-origin",
        "Host: [::1]:%d; Origin: http://[::1]:%d",
        "Host: localhost:%d; Sec-Fetch-Site: none",
        "Host: gpu01.example:%d; Origin: http://gpu01.example:%d"
      })
  void servesItsOwnPagesAndOtherClients(String headers) throws IOException {
    RawResponse response = send("GET", "/time", headers);
    response.assertOkMatching(TIME);
    assertFalse(response.hasHeader("Access-Control-Allow-Origin"), response::toString);
    assertEquals(200, send("POST", SET_LIMIT, headers).status());
  }

  @Test
  void closesARefusedConnectionWhenItSaysSo() throws IOException {
    for (String request :
        List.of(
            "GET /time HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n",
            "GET http://evil.example/time HTTP/1.0\r\n\r\n",
            "GET /time HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")) {
      try (RawConnection connection = server.connect()) {
        RawResponse response = connection.send(request).readResponse();
        response.assertError(403);
        assertEquals("close", response.header("Connection"));
        connection.assertEnd();
      }
    }
  }

  @Test
  void takesTheHostOfATargetInAbsoluteForm() throws IOException {
    String host = "Host: localhost";
    send("GET", "http://evil.example/time", host).assertError(403);
    send("GET", "HTTP://evil.example:80/time", host).assertError(403);
    send("GET", "http://localhost/time", "Host: evil.example").assertOkMatching(TIME);
    try (RawConnection connection = server.connect()) {
      connection.send("GET http://evil.example/time HTTP/1.0\r\n\r\n");
      connection.readResponse().assertError(403, "evil.example");
    }
    try (RawConnection connection = server.connect()) {
      connection.send("GET /time HTTP/1.0\r\nHost: evil.example\r\n\r\n");
      connection.readResponse().assertError(403, "evil.example");
    }
  }

  @Test
  void letsNamedDashboardsIn() throws IOException {
    String headers =
        "Host: 10.0.0.1:4938; Origin: https://dashboard.example; Sec-Fetch-Site: cross-site";
    RawResponse time = send("GET", "/time", headers);
    time.assertOkMatching(TIME);
    assertEquals("https://dashboard.example", time.header("Access-Control-Allow-Origin"));
    assertEquals("Origin", time.header("Vary"));
    RawResponse missing = send("GET", "/nowhere", headers);
    missing.assertError(404);
    assertEquals("https://dashboard.example", missing.header("Access-Control-Allow-Origin"));
    RawResponse preflight =
        send(
            "OPTIONS",
            SET_LIMIT,
            headers
                + "; Access-Control-Request-Method: POST"
                + "; Access-Control-Request-Headers: authorization"
                + "; Access-Control-Request-Private-Network: true");
    assertEquals(204, preflight.status());
    assertEquals("https://dashboard.example", preflight.header("Access-Control-Allow-Origin"));
    assertTrue(preflight.header("Access-Control-Allow-Methods").contains("POST"));
    assertTrue(preflight.header("Access-Control-Allow-Headers").contains("Authorization"));
    assertEquals("true", preflight.header("Access-Control-Allow-Private-Network"));
    assertEquals(200, send("POST", SET_LIMIT, headers).status());
    assertEquals(200_000, nvml.gpu(0).powerLimitMw());
    try (RawConnection connection = server.connect()) {
      connection.send(
          "GET /gpu/stream_power HTTP/1.1\r\nHost: 10.0.0.1\r\n"
              + "Origin: http://LOCALHOST:3000\r\n\r\n");
      RawResponse head = connection.readHead();
      assertEquals("http://LOCALHOST:3000", head.header("Access-Control-Allow-Origin"));
    }
  }

  /** Nobody gets in without a token, or without the file's permission. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "Host: evil.example",
        "Host: zeusd; Origin: http://evil.example; Sec-Fetch-Site: cross-site",
        "Host: zeusd; Origin: null"
      })
  void refusesNobodyByTheirPageWhereThereIsAKeyOrAUnixSocket(String headers) throws IOException {
    try (TestServer withKey =
            TestServer.start(Transport.TCP, Optional.of(TestTokens.checker()), ACCESS);
        TestServer unix = TestServer.start(Transport.UDS, Optional.empty(), ACCESS)) {
      for (TestServer other : new TestServer[] {withKey, unix}) {
        RawResponse time = send(other, 0, "GET", "/time", headers);
        time.assertOkMatching(TIME);
        assertFalse(time.hasHeader("Access-Control-Allow-Origin"), time::toString);
      }
      String dashboard = headers.replaceAll("; .*", "") + "; Origin: https://dashboard.example";
      send(withKey, 0, "GET", "/gpu/get_power", dashboard).assertError(401);
      RawResponse refused = send(withKey, 0, "GET", "/gpu/get_power", dashboard);
      assertEquals("https://dashboard.example", refused.header("Access-Control-Allow-Origin"));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "null",
        "*",
        "dashboard.example",
        "http://",
        "http://x/path",
        "http://a, http://b"
      })
  void takesOnlyOriginsAsOrigins(String origin) {
    Set<String> origins = Set.of(origin);
    assertThrows(IllegalArgumentException.class, () -> new WebAccess(Set.of(), origins));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "http://x", "x:80", "*", "*.example", "a b", "[::1]", "a..b"})
  void takesOnlyNamesAsHosts(String host) {
    Set<String> hosts = Set.of(host);
    assertThrows(IllegalArgumentException.class, () -> new WebAccess(hosts, Set.of()));
  }

  @Test
  void streamsToItsOwnPages() throws IOException {
    try (EventStream stream =
        server.connect().stream("/gpu/stream_power?gpu_ids=0", "Sec-Fetch-Site: same-origin")) {
      stream.nextSample();
    }
  }
}
