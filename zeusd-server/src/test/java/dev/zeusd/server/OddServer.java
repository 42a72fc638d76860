package dev.zeusd.server;

import dev.zeusd.client.Endpoint;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;

/** Answers each connection's requests with whatever a test likes. */
final class OddServer implements AutoCloseable {
  private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final Answer answer;
  private final AtomicInteger connections = new AtomicInteger();

  /** Writes an answer. */
  @FunctionalInterface
  interface Answer {
    /** To the request with this first line, on the {@code nth} connection, the first being 1. */
    void to(String requestLine, int nth, OutputStream out) throws IOException;
  }

  OddServer(Answer answer) throws IOException {
    this.answer = answer;
    Thread.ofPlatform().daemon().start(this::accept);
  }

  /** Answers everything with this status and body. */
  static OddServer saying(String status, String type, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    String head =
        "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
            .formatted(status, type, bytes.length);
    return new OddServer(
        (request, nth, out) -> {
          out.write(head.getBytes(StandardCharsets.US_ASCII));
          out.write(bytes);
        });
  }

  /** The head of a stream that goes on until it is closed. */
  static void beginEvents(OutputStream out) throws IOException {
    write(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  }

  static void write(OutputStream out, String text) throws IOException {
    out.write(text.getBytes(StandardCharsets.UTF_8));
  }

  Endpoint endpoint() {
    return new Endpoint.Tcp("127.0.0.1", listener.getLocalPort());
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket client = listener.accept();
        int nth = connections.incrementAndGet();
        Thread.ofVirtual().start(() -> serve(client, nth));
      } catch (IOException e) {
        // The test has what it wanted.
      }
    }
  }

  private void serve(Socket client, int nth) {
    try (client;
        BufferedReader requests =
            new BufferedReader(
                new InputStreamReader(client.getInputStream(), StandardCharsets.US_ASCII))) {
      client.setTcpNoDelay(true);
      for (String first = requests.readLine(); first != null; first = requests.readLine()) {
        String line = first;
        while (line != null && !line.isEmpty()) {
          line = requests.readLine();
        }
        answer.to(first, nth, client.getOutputStream());
        if (first.contains("/stream_power")) {
          return;
        }
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
