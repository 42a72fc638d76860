package dev.zeusd.server;

import dev.zeusd.client.Endpoint;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Scanner;

/**
 * A daemon that sends snapshots whatever is asked, in chunks that end anywhere, and answers nothing
 * else.
 */
final class OldDaemon implements AutoCloseable {
  private static final String EVENT =
      "data: {\"timestamp_ms\":5,\"power_mw\":{\"0\":70,\"1\":80}}\n\n";

  private final ServerSocket listener = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());

  OldDaemon() throws IOException {
    Thread.ofPlatform().daemon().start(this::serve);
  }

  Endpoint endpoint() {
    return new Endpoint.Tcp("127.0.0.1", listener.getLocalPort());
  }

  private void serve() {
    while (!listener.isClosed()) {
      try (Socket client = listener.accept();
          Scanner request = new Scanner(client.getInputStream(), StandardCharsets.US_ASCII)) {
        if (request.nextLine().contains("stream_power")) {
          answer(client);
        }
        while (request.hasNextLine()) {
          request.nextLine();
        }
      } catch (IOException e) {
        // The test has what it wanted.
      }
    }
  }

  private static void answer(Socket client) throws IOException {
    StringBuilder answer = new StringBuilder("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
    answer.append("content-type: text/event-stream\r\ntransfer-encoding: Chunked\r\n\r\n");
    for (String part : new String[] {":\n\nda", EVENT.substring(2, 20), EVENT.substring(20)}) {
      answer.append(Integer.toHexString(part.length())).append("; x=y\r\n");
      answer.append(part).append("\r\n");
    }
    client.getOutputStream().write(answer.toString().getBytes(StandardCharsets.US_ASCII));
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }
}
