package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Clients of TLS that are slow, or very many, hold up nobody else. */
@Timeout(120)
class SlowTlsClientsTest {
  private static final int FLOOD = 400;
  private static final int SLOW = 60;

  @BeforeEach
  void reset() {
    TestServer.freshNvml().gpu(0).countingPower(50_000);
  }

  private static String clientHello(SSLContext context) throws IOException {
    SSLEngine engine = context.createSSLEngine();
    engine.setUseClientMode(true);
    ByteBuffer hello = ByteBuffer.allocate(engine.getSession().getPacketBufferSize());
    engine.wrap(ByteBuffer.allocate(0), hello);
    return new String(hello.array(), 0, hello.position(), StandardCharsets.ISO_8859_1);
  }

  private static void closeAll(List<? extends AutoCloseable> all) throws Exception {
    for (AutoCloseable each : all) {
      each.close();
    }
  }

  @Test
  void thoseThatStopInTheirHandshakeOrTakeNothingHoldUpNobody() throws Exception {
    SSLContext context = TestTls.clientContext();
    String hello = clientHello(context);
    List<AutoCloseable> slow = new ArrayList<>();
    try (TestServer server = TestServer.start(Transport.TLS, 100)) {
      for (int i = 0; i < SLOW; i++) {
        // Half of the first message; and all of it, but nothing after the answer.
        int half = i % 2 == 0 ? hello.length() / 2 : hello.length();
        slow.add(RawConnection.open(server.tlsAddress()).send(hello.substring(0, half)));
        InetSocketAddress address = server.tlsAddress();
        SSLSocket reader =
            (SSLSocket)
                context.getSocketFactory().createSocket(address.getHostString(), address.getPort());
        slow.add(reader);
        reader
            .getOutputStream()
            .write(
                RawConnection.request("GET", "/gpu/stream_power")
                    .getBytes(StandardCharsets.US_ASCII));
      }
      try (RawConnection connection = server.connect();
          EventStream stream = server.connect().stream("/gpu/stream_power")) {
        for (int i = 0; i < 50; i++) {
          assertEquals(200, connection.get("/gpu/get_power").status());
          stream.nextData();
        }
      }
    } finally {
      closeAll(slow);
    }
  }

  /** One that finds all others begun is done before them: it does not stand in their line. */
  @Test
  void handshakesOfOneHostDoNotHoldUpThoseOfAnother() throws Exception {
    InetAddress other = ownAddress();
    SSLContext context = TestTls.clientContext();
    Listen listen =
        new Listen.Tcp(new InetSocketAddress("0.0.0.0", 0), Optional.of(TestTls.credentials()));
    ServerConfig config =
        new ServerConfig(listen, Set.of(ApiGroup.GPU_READ), StreamFormat.SAMPLE, Optional.empty());
    try (Node node = Node.open(NodeConfig.simulated());
        ZeusdServer server = ZeusdServer.start(node, config)) {
      // This client's own first handshake takes as long as hundreds of the server's.
      shakeHands(context, other, server.port());
      int before = FLOOD;
      for (int attempt = 0; attempt < 5 && before == FLOOD; attempt++) {
        before = answeredBefore(context, other, server.port());
      }
      assertTrue(before < FLOOD, "all of the others were answered before");
      System.out.println("handshakes of the other host before: " + before + " of " + FLOOD);
    }
  }

  private static InetAddress ownAddress() throws IOException {
    Optional<InetAddress> address =
        NetworkInterface.networkInterfaces()
            .flatMap(NetworkInterface::inetAddresses)
            .filter(each -> each instanceof Inet4Address && !each.isLoopbackAddress())
            .findFirst();
    assumeTrue(address.isPresent(), "this machine has no address but the loopback one");
    return address.get();
  }

  private static void shakeHands(SSLContext context, InetAddress at, int port) throws IOException {
    try (Socket plain = new Socket(at, port, at, 0);
        SSLSocket socket =
            (SSLSocket) context.getSocketFactory().createSocket(plain, "localhost", port, true)) {
      socket.setSoTimeout((int) RawConnection.PATIENCE.toMillis());
      socket.startHandshake();
    }
  }

  /** How many of a flood of handshakes from the loopback address had an answer by then. */
  private static int answeredBefore(SSLContext context, InetAddress other, int port)
      throws Exception {
    String hello = clientHello(context);
    InetSocketAddress loopback = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    List<RawConnection> flood = new ArrayList<>();
    try {
      for (int i = 0; i < FLOOD; i++) {
        flood.add(RawConnection.open(loopback));
      }
      for (RawConnection each : flood) {
        each.send(hello);
      }
      shakeHands(context, other, port);
      int answered = 0;
      for (RawConnection each : flood) {
        answered += each.hasBytes(Duration.ZERO) ? 1 : 0;
      }
      return answered;
    } finally {
      closeAll(flood);
    }
  }
}
