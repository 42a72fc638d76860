package dev.zeusd.server.http;

import static jdk.net.ExtendedSocketOptions.SO_PEERCRED;

import io.helidon.common.socket.SocketOptions;
import io.helidon.webserver.http.ServerRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.SocketOption;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The channels of the connections that are open. Helidon keeps them to itself, but hands each one
 * to the socket options when it is accepted; that is how they come here.
 */
public final class Connections implements SocketOptions {
  private static final int SWEEP_THRESHOLD = 64;

  private final SocketOptions options = SocketOptions.builder().tcpNoDelay(true).build();
  private final Map<String, SocketChannel> channels = new ConcurrentHashMap<>();
  private int sweepAt = SWEEP_THRESHOLD;

  /** The channel of a request, while its connection is open. */
  Optional<SocketChannel> channel(ServerRequest request) {
    return Optional.ofNullable(channels.get(request.socketId()));
  }

  /** Who is at the other end: the user of a Unix socket's client, or a TCP address. */
  String peer(ServerRequest request) {
    try {
      SocketChannel channel = channels.get(request.socketId());
      if (channel != null && channel.supportedOptions().contains(SO_PEERCRED)) {
        return "local user " + channel.getOption(SO_PEERCRED).user().getName();
      }
      return request.remotePeer().host();
    } catch (IOException e) {
      return "unknown";
    }
  }

  /** Called by Helidon's accepting thread for every new connection. */
  @Override
  public void configureSocket(SocketChannel channel) {
    options.configureSocket(channel);
    if (channels.size() >= sweepAt) {
      channels.values().removeIf(known -> !known.isOpen());
      sweepAt = Math.max(SWEEP_THRESHOLD, 2 * channels.size());
    }
    // Helidon's own way to name a connection, as ServerRequest.socketId() shows it.
    String id = "0x" + HexFormat.of().toHexDigits(System.identityHashCode(channel));
    SocketChannel namesake = channels.put(id, channel);
    if (namesake != null && namesake.isOpen()) {
      // One in a million; but then a stream could not tell which of the two is its own.
      close(namesake);
    }
  }

  private static void close(SocketChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void configureSocket(Socket socket) {
    options.configureSocket(socket);
  }

  @Override
  public Map<SocketOption<?>, Object> socketOptions() {
    return options.socketOptions();
  }

  @Override
  public Duration connectTimeout() {
    return options.connectTimeout();
  }

  @Override
  public Duration readTimeout() {
    return options.readTimeout();
  }

  @Override
  public Optional<Integer> socketReceiveBufferSize() {
    return options.socketReceiveBufferSize();
  }

  @Override
  public Optional<Integer> socketSendBufferSize() {
    return options.socketSendBufferSize();
  }

  @Override
  public boolean socketReuseAddress() {
    return options.socketReuseAddress();
  }

  @Override
  public boolean socketKeepAlive() {
    return options.socketKeepAlive();
  }

  @Override
  public boolean tcpNoDelay() {
    return options.tcpNoDelay();
  }
}
