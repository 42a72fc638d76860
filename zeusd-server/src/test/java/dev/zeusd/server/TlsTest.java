package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.server.auth.Grant;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Who;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.server.raw.TestAuthority;
import dev.zeusd.server.tls.TlsCredentials;
import dev.zeusd.server.tls.TlsFiles;
import dev.zeusd.server.tls.TlsVersion;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * TLS as clients see it who speak it themselves, by the JDK's own. That HTTP is the same over TLS
 * is tested with all the other transports.
 */
@Timeout(120)
class TlsTest {
  private static final String GET_POWER = RawConnection.request("GET", "/gpu/get_power");

  @BeforeEach
  void reset() {
    TestServer.freshNvml();
  }

  private static SSLSocket connect(TestServer server, SSLContext context, String... versions)
      throws IOException {
    InetSocketAddress address = server.tlsAddress();
    SSLSocket socket =
        (SSLSocket)
            context.getSocketFactory().createSocket(address.getHostString(), address.getPort());
    socket.setSoTimeout((int) RawConnection.PATIENCE.toMillis());
    if (versions.length > 0) {
      socket.setEnabledProtocols(versions);
    }
    return socket;
  }

  private static void send(Socket socket, String request) throws IOException {
    socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
  }

  /** One answer, whose body ends with a brace. */
  private static String ask(Socket socket) throws IOException {
    send(socket, GET_POWER);
    return readUntil(socket, "}}");
  }

  private static String readUntil(Socket socket, String end) throws IOException {
    InputStream in = socket.getInputStream();
    StringBuilder text = new StringBuilder();
    while (!text.toString().endsWith(end)) {
      int read = in.read();
      assertTrue(read >= 0, () -> "ended after: " + text);
      text.append((char) read);
    }
    return text.toString();
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void speaksNewVersions(String version) throws Exception {
    try (TestServer server = TestServer.start(Transport.TLS);
        SSLSocket socket = connect(server, TestTls.clientContext(), version)) {
      assertTrue(ask(socket).startsWith("HTTP/1.1 200 OK"));
      assertEquals(version, socket.getSession().getProtocol());
      assertTrue(socket.getSession().getCipherSuite().matches(".*(GCM|CHACHA20).*"));
      assertTrue(ask(socket).startsWith("HTTP/1.1 200 OK"));
    }
  }

  @Test
  void refusesAnotherHandshakeAndTakesNewKeys() throws Exception {
    try (TestServer server = TestServer.start(Transport.TLS)) {
      try (SSLSocket socket = connect(server, TestTls.clientContext(), "TLSv1.2")) {
        ask(socket);
        socket.startHandshake();
        assertThrows(IOException.class, () -> ask(socket));
      }
      try (SSLSocket socket = connect(server, TestTls.clientContext(), "TLSv1.3")) {
        ask(socket);
        // In this version, that only changes the keys.
        socket.startHandshake();
        assertTrue(ask(socket).startsWith("HTTP/1.1 200 OK"));
        assertTrue(ask(socket).startsWith("HTTP/1.1 200 OK"));
      }
    }
  }

  @Test
  void aClientComesBackWithAShorterHandshake() throws Exception {
    SSLContext context = TestTls.clientContext();
    try (TestServer server = TestServer.start(Transport.TLS)) {
      long created;
      try (SSLSocket socket = connect(server, context)) {
        ask(socket);
        created = socket.getSession().getCreationTime();
      }
      Await.until(
          "a new session would have another time", () -> System.currentTimeMillis() > created);
      try (SSLSocket socket = connect(server, context)) {
        ask(socket);
        assertEquals(created, socket.getSession().getCreationTime(), "a new session");
      }
    }
  }

  @Test
  void aClientThatDoesNotTrustItDoesNoHarm(@TempDir Path directory) throws Exception {
    SSLContext stranger = new TestAuthority(directory, "stranger").clientContext();
    try (TestServer server = TestServer.start(Transport.TLS)) {
      try (SSLSocket socket = connect(server, stranger)) {
        assertThrows(SSLException.class, () -> ask(socket));
      }
      assertEquals(200, server.get("/gpu/get_power").status());
    }
  }

  @Test
  void saysWhatItIsToWhoSpeaksPlainHttp() throws Exception {
    try (TestServer server = TestServer.start(Transport.TLS);
        RawConnection connection = RawConnection.open(server.tlsAddress())) {
      connection.get("/gpu/get_power").assertError(400, "this port is for TLS: use https");
      connection.assertEnd();
    }
  }

  @Test
  void endsHandshakesThatDoNotEnd() throws Exception {
    Limits usual = Limits.defaults();
    Limits limits = new Limits(50, Duration.ofMillis(500), usual.toTakeAnswer());
    try (TestServer server = TestServer.start(Transport.TLS, limits)) {
      List<RawConnection> open = new ArrayList<>();
      for (String begin : List.of("", "\u0016", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000")) {
        open.add(RawConnection.open(server.tlsAddress()).send(begin));
      }
      for (RawConnection each : open) {
        each.drain(RawConnection.PATIENCE);
        each.close();
      }
    }
  }

  @Test
  void unfinishedHandshakesMakeRoom() throws Exception {
    Limits usual = Limits.defaults();
    Limits limits = new Limits(20, usual.toSendRequest(), usual.toTakeAnswer());
    try (TestServer server = TestServer.start(Transport.TLS, limits)) {
      List<RawConnection> open = new ArrayList<>();
      for (int i = 0; i < 60; i++) {
        open.add(RawConnection.open(server.tlsAddress()).send("\u0016\u0003"));
      }
      assertEquals(200, server.get("/gpu/get_power").status());
      for (RawConnection each : open) {
        each.close();
      }
    }
  }

  @Test
  void whatIsNoTlsEndsTheConnectionAlone() throws Exception {
    try (TestServer server = TestServer.start(Transport.TLS)) {
      for (String begin :
          List.of(
              "\u0000\u0000\u0000\u0000\u0000",
              "\u0080\u002e\u0001\u0003\u0001\u0000",
              "\u0016\u0003\u0003\u00ff\u00ff\u0001",
              "\u0016\u0003\u0003\u0000\u0005\u0001\u0000\u0000\u0001\u0000",
              "\u0017\u0003\u0003\u0000\u0001\u0000")) {
        try (RawConnection connection = RawConnection.open(server.tlsAddress())) {
          connection.send(begin).endOutput();
          connection.drain(RawConnection.PATIENCE);
        }
      }
      assertEquals(200, server.get("/gpu/get_power").status());
    }
  }

  @Test
  void saysGoodbyeWhenItStops() throws Exception {
    TestServer server = TestServer.start(Transport.TLS);
    try (SSLSocket idle = connect(server, TestTls.clientContext());
        SSLSocket stream = connect(server, TestTls.clientContext())) {
      ask(idle);
      send(stream, RawConnection.request("GET", "/gpu/stream_power"));
      readUntil(stream, "data: ");
      server.close();
      // Without the goodbye of TLS, the JDK throws here.
      assertEquals(-1, idle.getInputStream().read());
      assertTrue(
          new String(stream.getInputStream().readAllBytes(), StandardCharsets.US_ASCII)
              .endsWith("\r\n0\r\n\r\n"));
    }
  }

  @Test
  void aClientNeedsACertificateOfTheRightAuthority(@TempDir Path directory) throws Exception {
    TestAuthority other = new TestAuthority(directory, "other");
    SSLContext without = TestTls.authority().clientContext();
    SSLContext foreign = TestTls.authority().clientContext(other.client("/O=acme/CN=tests"));
    TestAuthority.Issued expired = TestTls.authority().serverFrom(-10);
    SSLContext old = TestTls.authority().clientContext(expired);
    try (TestServer server = TestServer.start(Transport.TLS)) {
      for (SSLContext context : List.of(without, foreign, old)) {
        for (String version : List.of("TLSv1.2", "TLSv1.3")) {
          try (SSLSocket socket = connect(server, context, version)) {
            assertThrows(IOException.class, () -> ask(socket));
          }
        }
      }
      try (SSLSocket socket = connect(server, TestTls.clientContext())) {
        assertTrue(ask(socket).startsWith("HTTP/1.1 200 OK"));
      }
    }
  }

  @Test
  void tellsWhomACertificateNames() throws Exception {
    Policy policy =
        new Policy(
            List.of(
                new Grant(
                    List.of(Who.parse("cert:cn=TESTS, o=acme")),
                    Set.of(ApiGroup.GPU_READ),
                    false,
                    List.of(),
                    Set.of(),
                    Map.of())));
    try (TestServer server =
        TestServer.start(
            Transport.TLS,
            Set.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL),
            Optional.empty(),
            policy)) {
      assertEquals(
          "{\"sub\":\"CN=tests,O=acme\",\"scopes\":[\"gpu-read\"],"
              + "\"certificate\":\"CN=tests,O=acme\"}",
          server.get("/auth/whoami").body());
      assertEquals(200, server.get("/gpu/get_power").status());
      server
          .post("/gpu/reset_power_limit?gpu_ids=0&block=true")
          .assertError(403, "certificate 'CN=tests,O=acme' may not use gpu-control");
    }
    try (TestServer server =
        TestServer.start(
            Transport.TLS, Set.of(ApiGroup.GPU_READ), Optional.of(TestTokens.checker()))) {
      RawResponse said;
      try (RawConnection connection = server.connect()) {
        said = connection.get("/auth/whoami", TestTokens.header("gpu-read"));
      }
      assertTrue(said.body().startsWith("{\"sub\":\"alice\""), said::toString);
      assertTrue(said.body().endsWith("\"certificate\":\"CN=tests,O=acme\"}"), said::toString);
      server.get("/gpu/get_power").assertError(401, "a token is required");
    }
  }

  @Test
  void renewedCredentialsCountForWhoComesAndWhoIsNotTrustedGoes(@TempDir Path directory)
      throws Exception {
    TestAuthority other = new TestAuthority(directory, "other");
    TestAuthority.Issued renewed = TestTls.authority().server();
    try (TestServer server = TestServer.start(Transport.TLS);
        SSLSocket old = connect(server, TestTls.clientContext())) {
      ask(old);
      Path trusted = TestTls.authority().certificate();
      assertEquals(0, server.replaceTls(files(renewed, trusted)));
      assertTrue(ask(old).startsWith("HTTP/1.1 200 OK"));
      try (SSLSocket fresh = connect(server, TestTls.clientContext())) {
        ask(fresh);
        assertNotEquals(
            old.getSession().getPeerCertificates()[0], fresh.getSession().getPeerCertificates()[0]);
        assertEquals(2, server.replaceTls(files(renewed, other.certificate())));
        assertEquals(-1, readOrEnd(old));
        assertEquals(-1, readOrEnd(fresh));
      }
    }
  }

  private static TlsCredentials files(TestAuthority.Issued server, Path clientCa) {
    return TlsCredentials.read(
        new TlsFiles(
            server.certificate(), server.key(), Optional.of(clientCa), TlsVersion.TLS_1_3));
  }

  private static int readOrEnd(SSLSocket socket) {
    try {
      return socket.getInputStream().read();
    } catch (IOException e) {
      return -1;
    }
  }
}
