package dev.zeusd.server.connection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.server.Limits;
import io.helidon.webserver.CloseConnectionException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import javax.security.auth.x500.X500Principal;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Who makes room for whom, and whose handshakes wait. */
@Timeout(60)
class SharesTest {
  private static final Limits LIMITS =
      new Limits(20, Duration.ofSeconds(60), Duration.ofSeconds(15));
  private static final Peer ALICE = new Peer.CertificateHolder(new X500Principal("CN=alice"));
  private static final Peer HOST = new Peer.Host("192.0.2.1");
  private static final Peer OTHER_HOST = new Peer.Host("192.0.2.2");

  private final List<AutoCloseable> open = new ArrayList<>();
  private ServerSocketChannel listener;

  @BeforeEach
  void listen() throws IOException {
    listener = ServerSocketChannel.open();
    listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    open.add(listener);
  }

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
  }

  private Connection connection(Shares shares, Peer peer) throws IOException {
    open.add(SocketChannel.open(listener.getLocalAddress()));
    SocketChannel accepted = listener.accept();
    open.add(accepted);
    Connection connection = new Connection("x" + open.size(), accepted);
    shares.belongsTo(connection, peer);
    return connection;
  }

  /** Six of a host that has shown nothing, and seven of somebody who has shown a certificate. */
  @ParameterizedTest
  @CsvSource({
    "false, false, certificate 'CN=alice'",
    "true, false, 192.0.2.1",
    "false, true, 192.0.2.1"
  })
  void whoCouldSayWhoItIsAndHasNotGoesFirst(boolean tokens, boolean certificates, String first)
      throws Exception {
    Shares shares = new Shares(LIMITS, tokens, () -> certificates);
    for (int i = 0; i < 7; i++) {
      connection(shares, ALICE);
    }
    for (int i = 0; i < 6; i++) {
      connection(shares, HOST);
    }
    Connection newcomer = connection(shares, OTHER_HOST);
    assertEquals(first, shares.whoMakesRoomFor(newcomer).orElseThrow().peer.toString());
  }

  /** They have nothing to show, and the kernel says who they are. */
  @Test
  void localUsersAreNoStrangersWhereOnlyCertificatesCount() throws Exception {
    Shares shares = new Shares(LIMITS, false, () -> true);
    Peer local = new Peer.LocalUser(() -> "bob");
    for (int i = 0; i < 8; i++) {
      connection(shares, local);
    }
    Connection newcomer = connection(shares, HOST);
    assertEquals(local, shares.whoMakesRoomFor(newcomer).orElseThrow().peer);
    for (int i = 0; i < 6; i++) {
      newcomer = connection(shares, HOST);
    }
    assertEquals(HOST, shares.whoMakesRoomFor(newcomer).orElseThrow().peer);
  }

  @Test
  void handshakesOfOneHostWaitForEachOtherAndOthersComeNext() throws Exception {
    Shares shares = new Shares(LIMITS, false, () -> false);
    int all = 100;
    AtomicInteger running = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    Semaphore may = new Semaphore(0);
    CountDownLatch done = new CountDownLatch(all);
    for (int i = 0; i < all; i++) {
      Connection connection = connection(shares, HOST);
      Thread.ofVirtual()
          .start(
              () ->
                  shares.stepOfHandshake(
                      connection,
                      () -> {
                        most.accumulateAndGet(running.incrementAndGet(), Math::max);
                        may.acquireUninterruptibly();
                        running.decrementAndGet();
                        done.countDown();
                      }));
    }
    int atATime = Math.max(1, Runtime.getRuntime().availableProcessors() / 2);
    Await.until("some have their turn", () -> running.get() == atATime);

    CountDownLatch other = new CountDownLatch(1);
    Connection others = connection(shares, OTHER_HOST);
    Thread waiting =
        Thread.ofVirtual().start(() -> shares.stepOfHandshake(others, other::countDown));
    // Of two processors all hosts have one: only who waits already comes next.
    Await.until(
        "the other host waits, or is through",
        () -> waiting.getState() == Thread.State.WAITING || other.getCount() == 0);
    // As many processors as all of them may have.
    may.release(atATime);
    assertTrue(other.await(30, TimeUnit.SECONDS));
    assertTrue(done.getCount() >= all - atATime, "almost all of the first host are still there");

    may.release(all);
    assertTrue(done.await(30, TimeUnit.SECONDS));
    assertEquals(atATime, most.get());
  }

  @Test
  void handshakesOfManyHostsLeaveAPartOfTheProcessors() throws Exception {
    Shares shares = new Shares(LIMITS, false, () -> false);
    int all = 50;
    AtomicInteger running = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    CountDownLatch done = new CountDownLatch(all);
    for (int i = 0; i < all; i++) {
      Connection connection = connection(shares, new Peer.Host("192.0.2." + i));
      Runnable step =
          () -> {
            most.accumulateAndGet(running.incrementAndGet(), Math::max);
            // Lets all others run that may.
            Thread.yield();
            running.decrementAndGet();
            done.countDown();
          };
      Thread.ofVirtual().start(() -> shares.stepOfHandshake(connection, step));
    }
    assertTrue(done.await(30, TimeUnit.SECONDS));
    assertTrue(most.get() <= Math.max(1, Runtime.getRuntime().availableProcessors() * 3 / 4));
  }

  @Test
  void oneThatWasClosedMeanwhileTakesNoTime() throws Exception {
    Shares shares = new Shares(LIMITS, false, () -> false);
    Connection connection = connection(shares, HOST);
    connection.client().channel().close();
    AtomicInteger steps = new AtomicInteger();
    assertThrows(
        CloseConnectionException.class,
        () -> shares.stepOfHandshake(connection, steps::incrementAndGet));
    assertEquals(0, steps.get());
  }
}
