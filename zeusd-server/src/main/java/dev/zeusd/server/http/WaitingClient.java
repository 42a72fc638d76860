package dev.zeusd.server.http;

import dev.zeusd.server.connection.Client;
import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.connection.TlsChannel;
import io.helidon.webserver.CloseConnectionException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;

/**
 * A client whose answer may take long, and that may leave meanwhile: nothing is done for it then.
 * What it sends while it waits is dropped, so its connection has to be closed after the answer.
 */
final class WaitingClient implements Connection.Stream {
  private static final int DROPPED_BYTES = 64;

  private final Thread handler = Thread.currentThread();
  private final AtomicReference<State> state = new AtomicReference<>(State.WAITING);

  private enum State {
    WAITING,
    SERVED,
    GONE
  }

  /**
   * Does something that takes long, and is interrupted when the client leaves; if it is done by
   * then, it is closed again.
   *
   * @throws CloseConnectionException if the client has left
   */
  static <T extends AutoCloseable> T serve(Connection connection, Supplier<T> work) {
    WaitingClient client = new WaitingClient();
    connection.beginStream(client);
    // A socket tells that its other end is gone to those who read it, and nobody else does now.
    Thread.ofVirtual().start(() -> client.awaitEnd(connection));
    T done;
    try {
      done = work.get();
    } catch (RuntimeException e) {
      client.requireThere();
      throw e;
    }
    try {
      client.requireThere();
    } catch (CloseConnectionException e) {
      close(done, e);
      throw e;
    }
    return done;
  }

  private static void close(AutoCloseable done, CloseConnectionException why) {
    try {
      done.close();
    } catch (Exception e) {
      why.addSuppressed(e);
    }
  }

  private void requireThere() {
    if (!state.compareAndSet(State.WAITING, State.SERVED)) {
      // It was for the work.
      Thread.interrupted();
      throw new CloseConnectionException("the client has left");
    }
  }

  private void awaitEnd(Connection connection) {
    Client client = connection.client();
    try {
      // Nothing that it may send now has a meaning.
      if (client.tls().isPresent()) {
        dropAll(client.tls().get());
      } else {
        dropAll(client.channel());
      }
    } catch (IOException | RuntimeException e) {
      // Closed by either side.
    }
    end();
  }

  private static void dropAll(TlsChannel tls) throws IOException {
    byte[] dropped;
    do {
      dropped = tls.read();
    } while (dropped != null);
  }

  private static void dropAll(SocketChannel channel) throws IOException {
    ByteBuffer dropped = ByteBuffer.allocate(DROPPED_BYTES);
    int count;
    do {
      count = channel.read(dropped.clear());
    } while (count >= 0);
  }

  @Override
  public boolean isStuckFor(long nanos) {
    return false;
  }

  @Override
  public void end() {
    if (state.compareAndSet(State.WAITING, State.GONE)) {
      handler.interrupt();
    }
  }
}
