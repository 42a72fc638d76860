package dev.zeusd.server.http;

import dev.zeusd.core.settings.ClientProcess;
import dev.zeusd.ffm.posix.PeerProcess;
import dev.zeusd.server.auth.Caller;
import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.connection.ConnectionRegistry;
import dev.zeusd.server.connection.Peer;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.connection.SlowConnections;
import dev.zeusd.server.http.FanOut.Outcome;
import io.helidon.http.HeaderValues;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.Filter;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;
import io.helidon.webserver.http.ServerRequest;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.SocketChannel;
import java.util.Collection;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.function.Function;

/** Between requests and their connections: what each request begins and ends with. */
public final class Connections implements Filter {
  private final ConnectionRegistry registry;
  private final Shares shares;
  private final SlowConnections watch;

  /** Requests of the connections in {@code registry}, which {@code watch} watches. */
  public Connections(ConnectionRegistry registry, Shares shares, SlowConnections watch) {
    this.registry = registry;
    this.shares = shares;
    this.watch = watch;
  }

  /** Around each request: refuses bodies, and notes what is being done. */
  @Override
  public void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    Connection connection = connection(request);
    boolean hasBody = hasBody(request);
    connection.beginRequest(Routes.isHead(request));
    response.beforeSend(
        () -> {
          if (!registry.beginAnswer(connection)) {
            throw new CloseConnectionException("answered already");
          }
        });
    try {
      if (hasBody) {
        response.header(HeaderValues.CONNECTION_CLOSE);
        ErrorMapper.send(
            request,
            response,
            Status.REQUEST_ENTITY_TOO_LARGE_413,
            WireJson.error(ErrorMapper.BODY_REFUSED));
        throw new CloseConnectionException("what comes next is the body");
      }
      chain.proceed();
    } finally {
      connection.endRequest();
    }
  }

  /**
   * Returns when it is the request's turn.
   *
   * @param recognize called before it may have to wait, to find out whose it is
   * @throws io.helidon.http.HttpException if that takes too long
   */
  void awaitTurn(ServerRequest request, Runnable recognize) {
    registry.awaitTurn(connection(request), recognize);
  }

  /** Reads an empty one to its end. */
  private static boolean hasBody(ServerRequest request) {
    if (!request.content().hasEntity()) {
      return false;
    }
    try {
      return request.content().inputStream().read() >= 0;
    } catch (IOException | RuntimeException e) {
      // More than nothing, or nothing that can be understood.
      return true;
    }
  }

  private Connection connection(ServerRequest request) {
    return registry
        .find(request.socketId())
        .orElseThrow(() -> new CloseConnectionException("closed meanwhile"));
  }

  /**
   * The connection of a request whose answer is a stream, which may last for ever; {@link
   * #endStream} has to follow.
   *
   * @throws io.helidon.http.HttpException if there is no room for another one of its peer
   */
  public Connection openStream(ServerRequest request) {
    Connection connection = connection(request);
    registry.openStream(connection);
    return connection;
  }

  /** How many streams are open. */
  public int openStreams() {
    return shares.openStreams();
  }

  /** The stream is over. */
  public void endStream(Connection connection) {
    shares.closeStream(connection);
  }

  /**
   * Places in the queues of GPUs for a command.
   *
   * @throws io.helidon.http.HttpException if the request's peer has had its share
   */
  Shares.Places enterQueues(ServerRequest request, Collection<Integer> gpuIds) {
    return shares.enterQueues(connection(request), gpuIds);
  }

  /**
   * Asks devices. Should one of them hold up the request's thread, the request is answered all the
   * same: with what the others say, and an error for that one.
   *
   * @param body of the answer; throws {@link DeviceErrors} if there are failures
   */
  <T> byte[] ask(ServerRequest request, FanOut<T> devices, Function<Outcome<T>, byte[]> body) {
    connection(request).begin(new Asking<>(devices, body));
    return body.apply(devices.run());
  }

  private record Asking<T>(FanOut<T> devices, Function<Outcome<T>, byte[]> body)
      implements Connection.Work {
    @Override
    public boolean isHeldUp() {
      return devices.isHeldUp();
    }

    @Override
    public Optional<byte[]> finish(long latestNanos, boolean isHead) {
      devices.startRest();
      Outcome<T> outcome = devices.outcome(latestNanos);
      if (!devices.isHeldUp()) {
        return Optional.empty();
      }
      try {
        body.apply(outcome);
        throw new IllegalStateException("a device that hangs has failed");
      } catch (DeviceErrors e) {
        return Optional.of(ErrorMapper.inPlaceOfHandler(e, isHead));
      }
    }
  }

  /** A request of this user has come with a good token. */
  void hasToken(ServerRequest request, String subject) {
    shares.belongsTo(connection(request), new Peer.TokenUser(subject));
  }

  /** Who is at the other end: the user of a Unix socket's client, or a TCP address. */
  String peer(ServerRequest request) {
    SocketChannel channel = connection(request).channel();
    try {
      return channel.getRemoteAddress() instanceof InetSocketAddress address
          ? address.getAddress().getHostAddress()
          : Peer.of(channel).toString();
    } catch (IOException e) {
      return "unknown";
    }
  }

  /** Who sends a request, by the system and by its token. */
  Caller caller(ServerRequest request, Optional<String> tokenSubject) {
    Optional<PeerProcess> peer = connection(request).peerProcess();
    return new Caller(
        peer.map(known -> OptionalInt.of(known.uid())).orElse(OptionalInt.empty()),
        peer.map(PeerProcess::gids).orElse(Set.of()),
        tokenSubject);
  }

  /**
   * Has the connection of a request end when rules change and do not allow its answer any more.
   *
   * @return whether they allow it now
   */
  boolean onlyWhile(ServerRequest request, BooleanSupplier isAllowed) {
    return connection(request).onlyWhile(isAllowed);
  }

  /** Ends the connections whose lasting answers are not allowed any more, and counts them. */
  int endForbidden() {
    return registry.endForbidden();
  }

  /** Whether root is at the other end of a Unix socket. */
  boolean isRoot(ServerRequest request) {
    try {
      return Peer.of(connection(request).channel()).isRoot();
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * The process at the other end of a Unix socket, to be closed.
   *
   * @throws IOException if it cannot be told from others
   */
  ClientProcess process(ServerRequest request) throws IOException {
    Connection connection = connection(request);
    return ClientProcess.of(connection.channel(), connection.age());
  }

  /** Ends them all. */
  public void closeAll() {
    registry.closeAll();
  }

  @Override
  public void afterStop() {
    watch.stop();
  }
}
