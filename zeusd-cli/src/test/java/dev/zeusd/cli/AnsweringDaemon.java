package dev.zeusd.cli;

import dev.zeusd.client.Endpoint;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.function.UnaryOperator;

/** In a daemon's place: answers each path with JSON that a test makes up, in single quotes. */
final class AnsweringDaemon implements AutoCloseable {
  private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final UnaryOperator<String> bodyOf;

  AnsweringDaemon(UnaryOperator<String> bodyOf) throws IOException {
    this.bodyOf = bodyOf;
    Thread.ofPlatform().daemon().start(this::accept);
  }

  Endpoint endpoint() {
    return new Endpoint.Tcp("127.0.0.1", listener.getLocalPort());
  }

  private void accept() {
    try {
      while (true) {
        Socket client = listener.accept();
        Thread.ofPlatform().daemon().start(() -> serve(client));
      }
    } catch (IOException e) {
      // The test has what it wanted.
    }
  }

  private void serve(Socket client) {
    try (client;
        BufferedReader requests =
            new BufferedReader(
                new InputStreamReader(client.getInputStream(), StandardCharsets.US_ASCII))) {
      for (String first = requests.readLine(); first != null; first = requests.readLine()) {
        while (!requests.readLine().isEmpty()) {
          // Headers.
        }
        String body = bodyOf.apply(first.split("[ ?]")[1]).replace('\'', '"');
        String answer =
            "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s".formatted(body.length(), body);
        client.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
      }
    } catch (IOException e) {
      // The client has gone.
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }
}
