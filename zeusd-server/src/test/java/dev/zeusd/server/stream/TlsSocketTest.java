package dev.zeusd.server.stream;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.connection.TlsChannel;
import dev.zeusd.server.raw.TestAuthority;
import dev.zeusd.server.tls.TlsCredentials;
import dev.zeusd.server.tls.TlsFiles;
import dev.zeusd.server.tls.TlsVersion;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import javax.net.ssl.SSLEngine;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a stream sees of a client with TLS that is slow; on sockets whose buffers are soon full. */
@Timeout(60)
class TlsSocketTest {
  @TempDir private Path directory;
  private SocketChannel serverEnd;
  private SocketChannel clientEnd;
  private TlsChannel server;
  private TlsChannel client;
  private TlsSocket socket;

  @BeforeEach
  void connect() throws Exception {
    TestAuthority authority = new TestAuthority(directory, "test");
    TestAuthority.Issued issued = authority.server();
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(directory.resolve("z.sock"));
    try (ServerSocketChannel listening = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      listening.bind(address);
      clientEnd = SocketChannel.open(address);
      serverEnd = listening.accept();
    }
    TlsCredentials credentials =
        TlsCredentials.read(
            new TlsFiles(issued.certificate(), issued.key(), Optional.empty(), TlsVersion.TLS_1_3));
    SSLEngine engine = authority.clientContext().createSSLEngine();
    engine.setUseClientMode(true);
    server = new TlsChannel(serverEnd, credentials.newEngine(), source(serverEnd));
    client = new TlsChannel(clientEnd, engine, source(clientEnd));
    CompletableFuture<Void> shaken =
        CompletableFuture.runAsync(
            () -> {
              try {
                client.handshake(Runnable::run);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    server.handshake(Runnable::run);
    shaken.get();
    socket = new TlsSocket(serverEnd, server);
  }

  @AfterEach
  void close() throws IOException {
    serverEnd.close();
    clientEnd.close();
  }

  private static Supplier<byte[]> source(SocketChannel channel) {
    return () -> {
      ByteBuffer bytes = ByteBuffer.allocate(10_000);
      try {
        return channel.read(bytes) < 0 ? null : Arrays.copyOf(bytes.array(), bytes.position());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    };
  }

  /** Each with another content. */
  private static ByteBuffer chunk(int number) {
    byte[] bytes = new byte[20_000];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (number * 31 + i);
    }
    return ByteBuffer.wrap(bytes);
  }

  @Test
  void takesNothingWhileTheClientTakesNothingAndLosesNothing() throws Exception {
    ByteArrayOutputStream taken = new ByteArrayOutputStream();
    ByteBuffer chunk = chunk(0);
    int number = 0;
    while (take(chunk, taken)) {
      number++;
      chunk = chunk(number);
    }
    int left = chunk.remaining();
    socket.write(chunk);
    assertEquals(left, chunk.remaining(), "took more than it can send");
    // Now the client reads, as slowly as it likes; the rest of the chunk has to come in its place.
    ByteArrayOutputStream read = new ByteArrayOutputStream();
    while (read.size() < taken.size() + left) {
      take(chunk, taken);
      left = chunk.remaining();
      if (read.size() < taken.size()) {
        read.writeBytes(client.read());
      }
    }
    assertArrayEquals(taken.toByteArray(), read.toByteArray());
    assertTrue(socket.discardInput(ByteBuffer.allocateDirect(64)));
  }

  /** Whether all of it was taken. */
  private boolean take(ByteBuffer chunk, ByteArrayOutputStream taken) throws IOException {
    int start = chunk.position();
    socket.write(chunk);
    taken.write(chunk.array(), start, chunk.position() - start);
    return !chunk.hasRemaining();
  }

  @Test
  void dropsWhatTheClientSendsAndSeesItsEnd() throws Exception {
    ByteBuffer discarded = ByteBuffer.allocateDirect(64);
    assertTrue(socket.discardInput(discarded), "nothing came");
    client.write(chunk(1));
    for (int i = 0; i < 400; i++) {
      assertTrue(socket.discardInput(discarded), "something came");
    }
    // Its goodbye, while the connection is still there.
    client.close();
    assertFalse(socket.discardInput(discarded));
  }

  @Test
  void answersNewKeysWithTheNextChunk() throws Exception {
    ByteBuffer discarded = ByteBuffer.allocateDirect(512);
    for (int i = 0; i < 100; i++) {
      // After the first handshake, another one is new keys.
      client.handshake(Runnable::run);
      assertTrue(socket.discardInput(discarded), "new keys, time " + i);
      ByteBuffer chunk = ByteBuffer.wrap(new byte[] {(byte) i});
      socket.write(chunk);
      assertArrayEquals(new byte[] {(byte) i}, client.read());
    }
  }

  @Test
  void endsForWhoWantsNewKeysAndTakesNoAnswer() throws Exception {
    ByteBuffer discarded = ByteBuffer.allocateDirect(512);
    int times = 0;
    do {
      client.handshake(Runnable::run);
      times++;
    } while (socket.discardInput(discarded) && times < 1000);
    assertTrue(times > 1, "not even once");
    assertTrue(times < 100, times + " times, each of which is kept");
  }

  @Test
  void saysGoodbyeAfterTheRest() throws Exception {
    socket.write(chunk(1));
    server.close();
    serverEnd.close();
    ByteArrayOutputStream read = new ByteArrayOutputStream();
    for (byte[] next = client.read(); next != null; next = client.read()) {
      read.writeBytes(next);
    }
    assertArrayEquals(chunk(1).array(), read.toByteArray());
  }
}
