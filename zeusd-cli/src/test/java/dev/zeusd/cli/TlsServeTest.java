package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.zeusd.core.Await;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.TestAuthority;
import dev.zeusd.server.raw.TlsRelay;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --mode tls}, with the whole process. */
@Timeout(180)
class TlsServeTest {
  private static final Pattern BOTH = Pattern.compile("listening at (\\S+) and https://.*:(\\d+),");

  @TempDir private Path directory;
  private TestAuthority authority;
  private Path certificate;
  private Path key;
  private Path socket;

  @BeforeEach
  void issue() throws IOException {
    authority = new TestAuthority(directory, "test");
    certificate = directory.resolve("server.crt");
    key = directory.resolve("server.key");
    socket = directory.resolve("z.sock");
    use(authority.server());
  }

  /** As renewal does: one file after the other. */
  private void use(TestAuthority.Issued issued) throws IOException {
    Files.copy(issued.key(), key, StandardCopyOption.REPLACE_EXISTING);
    Files.copy(issued.certificate(), certificate, StandardCopyOption.REPLACE_EXISTING);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "--mode tls | --mode tls needs --tls-cert and --tls-key",
        "--mode uds,tls --tls-cert x | --mode tls needs --tls-cert and --tls-key",
        "--tls-cert x --tls-key y | have no effect without --mode tls",
        "--mode tcp --tls-client-ca x | have no effect without --mode tls",
        "--mode uds,tsl | 'tsl' is none of uds, tcp, tls",
        "--mode tls, --tls-cert x --tls-key y | '' is none of uds, tcp, tls",
        "--tls-min-version 1.1 | '1.1' is none of 1.2, 1.3",
        "--mode tcp,tls --tls-cert x --tls-key y --restore-on process-exit | needs --mode uds",
      })
  void saysWhichOptionsDoNotGoTogether(String options, String why) {
    Said said = Said.by(("serve --simulate " + options).split(" "));
    assertEquals(2, said.status(), said.err());
    assertTrue(said.err().contains(why), said.err());
  }

  @Test
  void refusesToStartWithABadKey() throws Exception {
    Files.copy(authority.server().key(), key, StandardCopyOption.REPLACE_EXISTING);
    try (ZeusdProcess zeusd =
        ZeusdProcess.start(
            directory,
            Map.of(),
            "serve",
            "--simulate",
            "--mode",
            "tls",
            "--tls-cert",
            certificate.toString(),
            "--tls-key",
            key.toString())) {
      zeusd.assertFails(key.toString(), "does not fit the certificate");
    }
  }

  private ZeusdProcess start() throws IOException {
    return ZeusdProcess.startShipped(
        directory,
        Map.of(),
        "",
        "serve",
        "--simulate",
        "--mode",
        "uds,tls",
        "--socket-path",
        socket.toString(),
        "--tls-bind-address",
        "127.0.0.1:0",
        "--tls-cert",
        certificate.toString(),
        "--tls-key",
        key.toString());
  }

  @Test
  void takesRenewedFilesWhileClientsAreServed() throws Exception {
    assumeFalse(ZeusdProcess.ignoresSignal(1), "SIGHUP is ignored, as nohup does");
    SSLContext context = authority.clientContext();
    try (ZeusdProcess zeusd = start()) {
      int port = Integer.parseInt(zeusd.awaitErr(BOTH).group(2));
      InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
      try (TlsRelay relay = new TlsRelay(context, address);
          RawConnection local = RawConnection.open(UnixDomainSocketAddress.of(socket));
          EventStream stream = RawConnection.open(relay.address()).stream("/gpu/stream_power");
          Load load = new Load(relay)) {
        assertEquals(200, local.get("/gpu/get_power").status());
        stream.nextData();
        String first = serial(context, port);

        use(authority.server());
        zeusd.signal("HUP");
        zeusd.awaitErr(
            Pattern.compile("SIGHUP: read again: TLS certificate: CN=localhost, until .*UTC\\R"));
        String second = serial(context, port);
        assertTrue(!first.equals(second), "the same certificate");

        use(authority.serverFrom(-10));
        zeusd.signal("HUP");
        zeusd.awaitErr(
            Pattern.compile("SIGHUP: nothing was changed: TLS certificate \\S+ has expired at"));
        assertEquals(second, serial(context, port));
        stream.nextData();
        load.assertServed();
      }
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit());
    }
  }

  private static String serial(SSLContext context, int port) throws IOException {
    try (SSLSocket client =
        (SSLSocket) context.getSocketFactory().createSocket("localhost", port)) {
      client.startHandshake();
      return ((java.security.cert.X509Certificate) client.getSession().getPeerCertificates()[0])
          .getSerialNumber()
          .toString();
    }
  }

  /** Clients that ask all the time, on one connection and on ever new ones. */
  private static final class Load implements AutoCloseable {
    private final AtomicInteger answers = new AtomicInteger();
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final Thread[] clients;
    private volatile boolean ends;

    Load(TlsRelay relay) {
      clients =
          new Thread[] {
            Thread.ofVirtual().start(() -> ask(relay, true)),
            Thread.ofVirtual().start(() -> ask(relay, false))
          };
    }

    private void ask(TlsRelay relay, boolean keepsConnection) {
      try {
        while (!ends) {
          try (RawConnection connection = RawConnection.open(relay.address())) {
            do {
              assertEquals(200, connection.get("/gpu/get_power").status());
              answers.incrementAndGet();
            } while (keepsConnection && !ends);
          }
        }
      } catch (IOException | AssertionError e) {
        failure.compareAndSet(null, e);
      }
    }

    void assertServed() throws InterruptedException {
      Await.until("many answers", () -> answers.get() > 20 || failure.get() != null);
      close();
      if (failure.get() != null) {
        throw new AssertionError("a request failed", failure.get());
      }
    }

    @Override
    public void close() {
      ends = true;
      try {
        for (Thread each : clients) {
          each.join();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
