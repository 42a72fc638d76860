package dev.zeusd.server;

import static dev.zeusd.server.raw.RawConnection.request;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import java.io.IOException;
import java.util.EnumMap;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** HTTP itself: what is on the wire around the answers, and connections that stay in step. */
class HttpProtocolTest {
  private static final String TIME = "\\{\"timestamp_ms\":\\d{13}}";

  private static final Map<Transport, TestServer> SERVERS = new EnumMap<>(Transport.class);

  @BeforeAll
  static void start() throws IOException {
    TestServer.freshNvml();
    for (Transport transport : Transport.values()) {
      SERVERS.put(transport, TestServer.start(transport));
    }
  }

  @AfterAll
  static void stop() throws IOException {
    for (TestServer server : SERVERS.values()) {
      server.close();
    }
  }

  private static RawConnection connect(Transport transport) throws IOException {
    return SERVERS.get(transport).connect();
  }

  @ParameterizedTest
  @EnumSource
  void keepsAConnectionForManyRequests(Transport transport) throws IOException {
    try (RawConnection connection = connect(transport)) {
      for (int i = 0; i < 500; i++) {
        connection.get("/time").assertOkMatching(TIME);
        connection.get("/gpu/get_power_limit?gpu_ids=x").assertError(400, "gpu_ids");
        connection.get("/nowhere").assertError(404);
      }
      connection.assertIdle();
    }
  }

  @ParameterizedTest
  @EnumSource
  void answersPipelinedRequestsInOrder(Transport transport) throws IOException {
    StringBuilder requests = new StringBuilder();
    for (int i = 0; i < 50; i++) {
      requests.append(request("GET", "/gpu/get_power_limit?gpu_ids=" + i % 4));
    }
    try (RawConnection connection = connect(transport).send(requests.toString())) {
      for (int i = 0; i < 50; i++) {
        connection.readResponse().assertOk("{\"" + i % 4 + "\":{\"power_limit_mw\":300000}}");
      }
      connection.assertIdle();
    }
  }

  @ParameterizedTest
  @EnumSource
  void staysInStepAfterErrorsAndHead(Transport transport) throws IOException {
    try (RawConnection connection = connect(transport)) {
      for (String path : new String[] {"/time", "/gpu/get_power", "/gpu/stream_power"}) {
        connection.send(request("HEAD", path) + request("GET", "/time"));
        RawResponse head = connection.readHead();
        assertEquals(405, head.status());
        assertEquals("GET", head.header("Allow"));
        connection.readResponse().assertOkMatching(TIME);
      }
      connection.send(request("HEAD", "/nowhere") + request("GET", "/time"));
      assertEquals(404, connection.readHead().status());
      connection.readResponse().assertOkMatching(TIME);
      connection.send(request("POST", "/time", "Content-Length: 0") + request("GET", "/time"));
      connection.readResponse().assertError(405);
      connection.readResponse().assertOkMatching(TIME);
      connection.assertIdle();
    }
  }

  @ParameterizedTest
  @EnumSource
  void readsRequestsThatComeInPieces(Transport transport) throws Exception {
    try (RawConnection connection = connect(transport)) {
      for (char c : request("GET", "/gpu/get_power_limit?gpu_ids=1").toCharArray()) {
        connection.send(String.valueOf(c));
        Thread.sleep(1);
      }
      connection.readResponse().assertOk("{\"1\":{\"power_limit_mw\":300000}}");
    }
  }

  @ParameterizedTest
  @EnumSource
  void closesWhenAsked(Transport transport) throws IOException {
    for (String path : new String[] {"/time", "/nowhere", "/gpu/get_power?gpu_ids=9"}) {
      try (RawConnection connection = connect(transport)) {
        RawResponse response = connection.get(path, "Connection: close");
        assertEquals("close", response.header("Connection"));
        connection.assertEnd();
      }
    }
    try (RawConnection connection = connect(transport)) {
      connection.send(request("HEAD", "/time", "Connection: Close"));
      assertEquals(405, connection.readHead().status());
      connection.assertEnd();
    }
  }

  @ParameterizedTest
  @EnumSource
  void closesWhereItSaysSo(Transport transport) throws IOException {
    // Not asked to close, but the stream's endpoint cannot go on with the connection.
    try (RawConnection connection = connect(transport)) {
      RawResponse response = connection.get("/gpu/stream_power", "Accept: application/json");
      response.assertError(406);
      if (response.header("Connection").equals("close")) {
        connection.assertEnd();
      } else {
        connection.get("/time").assertOkMatching(TIME);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void refusesBodies(Transport transport) throws IOException {
    assertRefused(transport, 413, request("POST", "/time", "Content-Length: 5") + "hello");
    assertRefused(transport, 413, request("GET", "/gpu/get_power", "Content-Length: 1") + "x");
    assertRefused(transport, 413, request("GET", "/time", "Content-Length: 99999999999999"));
    for (String method : new String[] {"GET", "POST", "BREW"}) {
      String chunked = request(method, "/time", "Transfer-Encoding: chunked");
      assertRefused(transport, 413, chunked);
      assertRefused(transport, 413, chunked + "0\r\n\r\n");
      assertRefused(transport, 413, chunked + "fff\r\n" + request("GET", "/time"));
    }
  }

  @ParameterizedTest
  @EnumSource
  void refusesLongTargetsAndHeaders(Transport transport) throws IOException {
    assertRefused(transport, 414, request("GET", "/" + "a".repeat(8000)));
    assertRefused(transport, 414, request("GET", "/gpu/get_power?gpu_ids=" + "0,".repeat(5000)));
    assertRefused(transport, 431, request("GET", "/time", "X-Long: " + "a".repeat(20_000)));
    String[] many = new String[2000];
    for (int i = 0; i < many.length; i++) {
      many[i] = "X-Header-" + i + ": " + i;
    }
    assertRefused(transport, 431, request("GET", "/time", many));
  }

  @ParameterizedTest
  @EnumSource
  void refusesWhatIsNotHttp(Transport transport) throws IOException {
    for (String malformed :
        new String[] {
          "hello\r\n\r\n",
          "GET /time\r\nHost: zeusd\r\n\r\n",
          "GET  /time HTTP/1.1\r\nHost: zeusd\r\n\r\n",
          "G\0T /time HTTP/1.1\r\nHost: zeusd\r\n\r\n",
          "GET /gpu/get_power?gpu_ids=0, 1 HTTP/1.1\r\nHost: zeusd\r\n\r\n",
          "GET /time HTTP/1.1\nHost: zeusd\n\n",
          "GET /time HTTP/1.1\r\n\r\n",
          "GET /time HTTP/1.1\r\nHost: zeusd\r\nNo colon\r\n\r\n",
          "GET /%zz HTTP/1.1\r\nHost: zeusd\r\n\r\n",
          "GET /gpu/get_power?gpu_ids=<0> HTTP/1.1\r\nHost: zeusd\r\n\r\n",
          "GET /gpu/get_power?gpu_ids=\u00ff HTTP/1.1\r\nHost: zeusd\r\n\r\n",
          "GET /time HTTP/1.1\r\nHost: zeusd\r\nContent-Length: many\r\n\r\n"
        }) {
      assertRefused(transport, 400, malformed);
    }
    assertRefused(transport, 505, "GET /time HTTP/1.0\r\nHost: zeusd\r\n\r\n");
  }

  /** Refused by a JSON error, and the connection, which may be out of step now, is closed. */
  private static void assertRefused(Transport transport, int status, String bytes)
      throws IOException {
    try (RawConnection connection = connect(transport).send(bytes)) {
      RawResponse response = connection.readResponse();
      response.assertError(status);
      assertEquals("close", response.header("Connection"), response::toString);
      assertFalse(response.body().contains("server log"), response::body);
      assertTrue(connection.drain(RawConnection.PATIENCE) == 0, "more after the error");
    }
  }
}
