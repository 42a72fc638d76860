package dev.zeusd.server;

import static dev.zeusd.server.raw.RawConnection.request;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.TestLog;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.logging.Level;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** HTTP itself: what is on the wire around the answers, and connections that stay in step. */
class HttpProtocolTest {
  private static final String TIME = "\\{\"timestamp_ms\":\\d{13}}";

  private static final Set<ApiGroup> GROUPS = Set.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL);
  private static final String[] GET_PATHS = {
    "/time",
    "/discover",
    "/gpu/get_power",
    "/gpu/get_power_limit?gpu_ids=1",
    "/gpu/get_power_limit?gpu_ids=x",
    "/nowhere"
  };

  private static final Map<Transport, TestServer> SERVERS = new EnumMap<>(Transport.class);
  private static final FakeNvml NVML = FakeNvml.inProcess();

  @BeforeAll
  static void start() throws IOException {
    TestServer.freshNvml();
    for (Transport transport : Transport.values()) {
      SERVERS.put(transport, TestServer.start(transport, GROUPS, Optional.empty()));
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
      for (String path : GET_PATHS) {
        connection.send(request("HEAD", path) + request("GET", "/time"));
        RawResponse head = connection.readHead();
        connection.readResponse().assertOkMatching(TIME);
        assertSameHead(connection.get(path), head);
      }
      connection.send(
          request("HEAD", "/gpu/set_power_limit")
              + request("HEAD", "/cpu/get_power")
              + request("GET", "/time"));
      assertEquals(405, connection.readHead().status());
      assertEquals(404, connection.readHead().status());
      connection.readResponse().assertOkMatching(TIME);
      connection.send(request("POST", "/time", "Content-Length: 0") + request("GET", "/time"));
      connection.readResponse().assertError(405);
      connection.readResponse().assertOkMatching(TIME);
      connection.assertIdle();
    }
  }

  /** All that a GET says, but for the time. */
  private static void assertSameHead(RawResponse expected, RawResponse head) {
    assertEquals(expected.status(), head.status());
    Map<String, String> expectedHeaders = new TreeMap<>(expected.headers());
    expectedHeaders.put("Date", head.header("Date"));
    assertEquals(expectedHeaders, new TreeMap<>(head.headers()));
  }

  @ParameterizedTest
  @EnumSource
  void answersHeadOfAStreamWithoutOpeningIt(Transport transport) throws Exception {
    // What other tests have streamed is over.
    Await.rest();
    long reads = NVML.gpu(0).powerReads();
    for (String version : new String[] {"1.0", "1.1"}) {
      try (RawConnection connection = connect(transport)) {
        connection.send("HEAD /gpu/stream_power HTTP/" + version + "\r\nHost: localhost\r\n\r\n");
        RawResponse head = connection.readHead();
        assertEquals(200, head.status());
        assertEquals("text/event-stream", head.header("Content-Type"));
        connection.assertEnd();
      }
    }
    Await.rest();
    assertEquals(reads, NVML.gpu(0).powerReads());
  }

  @ParameterizedTest
  @EnumSource
  void tellsWhatIsAllowed(Transport transport) throws IOException {
    try (RawConnection connection = connect(transport)) {
      for (String path : new String[] {"/time", "/discover", "/gpu/stream_power"}) {
        assertAllowed(connection, path, "GET, HEAD, OPTIONS");
      }
      assertAllowed(connection, "/gpu/set_power_limit", "POST, OPTIONS");
      assertAllowed(connection, "*", "GET, HEAD, POST, OPTIONS");
      connection.send(request("OPTIONS", "/nowhere")).readResponse().assertError(404);
      connection.send(request("OPTIONS", "/cpu/get_power")).readResponse().assertError(404);
      RawResponse wrong = connection.send(request("DELETE", "/time")).readResponse();
      wrong.assertError(405, "GET");
      assertEquals("GET, HEAD, OPTIONS", wrong.header("Allow"));
      connection.assertIdle();
    }
  }

  private static void assertAllowed(RawConnection connection, String target, String methods)
      throws IOException {
    RawResponse response = connection.send(request("OPTIONS", target)).readResponse();
    assertEquals(204, response.status());
    assertEquals("", response.body());
    assertEquals(methods, response.header("Allow"));
  }

  @ParameterizedTest
  @EnumSource
  void answersWhateverAcceptSays(Transport transport) throws IOException {
    for (String accept :
        new String[] {"application/json", "text/html", "garbage", "*/*;q=0", "", ",;=/", "a/b/c"}) {
      String header = "Accept: " + accept;
      try (RawConnection connection = connect(transport)) {
        connection.get("/time", header).assertOkMatching(TIME);
        connection.get("/nowhere", header).assertError(404);
        connection.stream("/gpu/stream_power", header).nextSample();
      }
    }
  }

  /** As HTTP/1.0, which ends an answer by closing. */
  @ParameterizedTest
  @EnumSource
  void speaksHttp10(Transport transport) throws IOException {
    for (String headers : new String[] {"", "Host: localhost\r\n", "Connection: close\r\n"}) {
      for (String path : GET_PATHS) {
        try (RawConnection connection = connect(transport)) {
          connection.send("GET " + path + " HTTP/1.0\r\n" + headers + "\r\n");
          RawResponse response = connection.readResponse();
          assertTrue(response.hasHeader("Content-Length"), response::toString);
          assertFalse(response.hasHeader("Transfer-Encoding"), response::toString);
          assertEquals("close", response.header("Connection"));
          connection.assertEnd();
        }
      }
    }
  }

  /** As {@code ab -k} asks. */
  @ParameterizedTest
  @EnumSource
  void keepsAConnectionOfHttp10WhenAsked(Transport transport) throws IOException {
    String request = "GET %s HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: localhost\r\n\r\n";
    try (RawConnection connection = connect(transport)) {
      for (String path : GET_PATHS) {
        RawResponse response = connection.send(request.formatted(path)).readResponse();
        assertEquals("keep-alive", response.header("Connection"));
      }
      // Both versions in one connection, and in one packet.
      connection.send(request.formatted("/time") + request("GET", "/time"));
      connection.readResponse().assertOkMatching(TIME);
      connection.readResponse().assertOkMatching(TIME);
      connection.send(request.formatted("/gpu/stream_power"));
      EventStream stream = connection.readStream();
      assertFalse(stream.isChunked());
      stream.nextSample();
    }
  }

  @ParameterizedTest
  @EnumSource
  void streamsToHttp10WithoutFraming(Transport transport) throws IOException {
    NVML.gpu(0).powerMw(1_000);
    try (TestServer server = TestServer.start(transport);
        RawConnection connection = server.connect()) {
      connection.send("GET /gpu/stream_power?gpu_ids=0 HTTP/1.0\r\n\r\n");
      EventStream stream = connection.readStream();
      assertFalse(stream.isChunked());
      // Written by itself, shared with a client that wants chunks, and a comment.
      assertEquals(1_000, stream.nextSample().powerMw());
      EventStream other = server.stream("/gpu/stream_power?gpu_ids=0");
      assertTrue(other.isChunked());
      assertEquals(1_000, other.nextSample().powerMw());
      NVML.gpu(0).powerMw(123_456);
      assertEquals(123_456, stream.nextSample().powerMw());
      assertEquals(123_456, other.nextSample().powerMw());
      assertTrue(EventStream.isComment(stream.next(RawConnection.PATIENCE)));
      assertTrue(EventStream.isComment(other.next(RawConnection.PATIENCE)));
      server.stopServer();
      stream.assertEndsProperly();
      other.assertEndsProperly();
    } finally {
      NVML.gpu(0).powerMw(75_000);
    }
  }

  @ParameterizedTest
  @EnumSource
  void skipsEmptyLinesBeforeARequest(Transport transport) throws IOException {
    try (RawConnection connection = connect(transport)) {
      for (String empty : new String[] {"\r\n", "\n", "\r\n\r\n\n\r\n"}) {
        connection.send(empty).send(request("GET", "/time"));
        connection.readResponse().assertOkMatching(TIME);
        connection.send(empty + request("GET", "/time") + empty + request("GET", "/discover"));
        connection.readResponse().assertOkMatching(TIME);
        assertEquals(200, connection.readResponse().status());
        connection.send(empty + "GET /time HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        connection.readResponse().assertOkMatching(TIME);
      }
      connection.assertIdle();
    }
  }

  @ParameterizedTest
  @EnumSource
  void takesAnEmptyBodyAsNone(Transport transport) throws IOException {
    String chunked = "Transfer-Encoding: chunked";
    try (RawConnection connection = connect(transport)) {
      connection.get("/time", "Content-Length: 0").assertOkMatching(TIME);
      for (String body :
          new String[] {
            "0\r\n\r\n", "000\r\n\r\n", "0;a=b\r\n\r\n", "0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"
          }) {
        for (String headers : new String[] {chunked, chunked.toUpperCase(Locale.ROOT)}) {
          connection.send(request("GET", "/time", headers) + body + request("GET", "/discover"));
          connection.readResponse().assertOkMatching(TIME);
          assertEquals(200, connection.readResponse().status());
        }
      }
      connection.send(request("GET", "/gpu/stream_power", chunked)).send("0\r\n\r\n");
      connection.readStream().nextSample();
    }
  }

  @ParameterizedTest
  @EnumSource
  void takesTargetsInAbsoluteForm(Transport transport) throws IOException {
    try (RawConnection connection = connect(transport)) {
      connection.get("http://localhost/time").assertOkMatching(TIME);
      connection.get("HTTP://127.0.0.1:80/gpu/get_power_limit?gpu_ids=1");
      assertEquals(200, connection.get("http://localhost").status());
      connection.send("GET http://localhost/time HTTP/1.0\r\n\r\n");
      connection.readResponse().assertOkMatching(TIME);
      connection.assertEnd();
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
      assertEquals(200, connection.readHead().status());
      connection.assertEnd();
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
      assertRefused(transport, 413, chunked + "1\r\nx\r\n0\r\n\r\n");
      assertRefused(transport, 413, chunked + "00a;b=c\r\n");
      assertRefused(transport, 413, chunked + "\r\n");
      assertRefused(transport, 413, chunked + "fff\r\n" + request("GET", "/time"));
    }
  }

  /** Whoever sends them for ever would keep a processor busy, and others out. */
  @ParameterizedTest
  @EnumSource
  void refusesWhatIsDroppedWithoutEnd(Transport transport) throws IOException {
    String chunked = request("POST", "/time", "Transfer-Encoding: chunked") + "0\r\n";
    assertRefused(transport, 400, "\r\n".repeat(8_200));
    assertRefused(transport, 400, "\n".repeat(16_400));
    assertRefused(transport, 413, chunked + "X: 56\r\n".repeat(2_400));
    String head = request("GET", "/time");
    String marks = "Zeusd-Http-Version: 1\r\n".repeat(1_600);
    assertRefused(transport, 431, head.substring(0, head.length() - 2) + marks);
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
          "GET /time\r\nHost: localhost\r\n\r\n",
          "GET  /time HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "G\0T /time HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET /gpu/get_power?gpu_ids=0, 1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET /time HTTP/1.1\nHost: localhost\n\n",
          "GET /time HTTP/1.1\r\n\r\n",
          "GET /time HTTP/1.1\r\nHost: localhost\r\nNo colon\r\n\r\n",
          "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET /gpu/get_power?gpu_ids=<0> HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET /gpu/get_power?gpu_ids=\u00ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET /time HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n"
        }) {
      assertRefused(transport, 400, malformed);
    }
    for (String malformed :
        new String[] {
          "GET /time HTTP/1.0\nHost: localhost\n\n",
          "GET  /time HTTP/1.0\r\n\r\n",
          "GET /time HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
          "GET /time HTTP/1.0\r\nNo colon\r\n\r\n",
          "GET http:///time HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET http://localhost\r\nA HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET http://a@b/time HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET http://localhost/time HTTP/1.1\r\n\r\n"
        }) {
      assertRefused(transport, 400, malformed);
    }
    assertRefused(transport, 414, "GET /" + "a".repeat(8000) + " HTTP/1.0\r\n\r\n");
    assertRefused(transport, 414, "a".repeat(70_000));
    assertRefused(transport, 431, "GET / HTTP/1.0\r\nX-Long: " + "a".repeat(70_000));
  }

  @ParameterizedTest
  @EnumSource
  void aHostMayBeEmptyAndSoMayItsPort(Transport transport) throws IOException {
    for (String host : new String[] {"localhost:", "[::1]:", "127.0.0.1:", "", "\t"}) {
      for (String version : new String[] {"1.0", "1.1"}) {
        String head = "GET /time HTTP/" + version + "\r\nhOST: " + host + "\r\nA: b\r\n\r\n";
        try (RawConnection connection = connect(transport).send(head)) {
          connection.readResponse().assertOkMatching(TIME);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void saysWhatItIsToWhoSpeaksTls(Transport transport) throws Exception {
    SSLEngine client = SSLContext.getDefault().createSSLEngine();
    client.setUseClientMode(true);
    ByteBuffer hello = ByteBuffer.allocate(client.getSession().getPacketBufferSize());
    client.wrap(ByteBuffer.allocate(0), hello);
    String bytes = ISO_8859_1.decode(hello.flip()).toString();
    try (TestLog log = new TestLog("dev.zeusd.server.http.HttpSelector")) {
      assertRefused(transport, 400, bytes, "plain HTTP");
      assertRefused(transport, 400, bytes, "plain HTTP");
      assertTrue(log.lines(Level.INFO).size() <= 1, () -> "each time: " + log.lines(Level.INFO));
    }
  }

  @ParameterizedTest
  @EnumSource
  void namesWhatItRefusesBeforeThereIsARequest(Transport transport) throws IOException {
    String host = "Host: localhost\r\n";
    assertRefused(transport, 400, "hello\r\n\r\n", "request line");
    assertRefused(transport, 400, "GET /time HTTP/2.0\r\n" + host + "\r\n", "request line");
    assertRefused(transport, 400, "GET /time\r\n" + host + "\r\n", "request line");
    assertRefused(transport, 400, "GET /time HTTP/1.1\r\n\r\n", "Host");
    assertRefused(transport, 400, "GET /time HTTP/1.1\r\n" + host + host + "\r\n", "Host");
    assertRefused(transport, 400, "GET /time HTTP/1.1\r\n" + host + "No colon\r\n\r\n", "colon");
  }

  /** Refused by a JSON error, and the connection, which may be out of step now, is closed. */
  private static void assertRefused(
      Transport transport, int status, String bytes, String... mentioned) throws IOException {
    try (RawConnection connection = connect(transport).send(bytes)) {
      RawResponse response = connection.readResponse();
      response.assertError(status, mentioned);
      assertEquals("close", response.header("Connection"), response::toString);
      assertFalse(response.body().contains("server log"), response::body);
      assertTrue(connection.drain(RawConnection.PATIENCE) == 0, "more after the error");
    }
  }
}
