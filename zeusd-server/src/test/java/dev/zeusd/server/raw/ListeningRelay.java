package dev.zeusd.server.raw;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Stands between a client and a server, and keeps the request lines that pass. */
public final class ListeningRelay implements AutoCloseable {
  private static final Pattern REQUEST_LINE =
      Pattern.compile("(?m)^((?:GET|POST) \\S+) HTTP/1\\.1\\r\\n");

  private final ServerSocket listening;
  private final InetSocketAddress server;
  private final List<String> requests = new CopyOnWriteArrayList<>();
  private final List<Socket> sockets = new CopyOnWriteArrayList<>();

  /** To {@code server}, on a port of the loopback of its own. */
  public ListeningRelay(InetSocketAddress server) throws IOException {
    this.server = server;
    this.listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
  }

  public int port() {
    return listening.getLocalPort();
  }

  /** Method and target of each request so far, such as {@code GET /time}. */
  public List<String> requests() {
    return List.copyOf(requests);
  }

  private void accept() {
    try {
      while (true) {
        Socket client = listening.accept();
        Socket out = new Socket(server.getAddress(), server.getPort());
        sockets.addAll(List.of(client, out));
        Thread.ofVirtual().start(() -> pass(client, out, true));
        Thread.ofVirtual().start(() -> pass(out, client, false));
      }
    } catch (IOException e) {
      // It is closed.
    }
  }

  private void pass(Socket from, Socket to, boolean fromClient) {
    byte[] buffer = new byte[8192];
    StringBuilder head = new StringBuilder();
    try (from;
        to) {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      for (int count = in.read(buffer); count > 0; count = in.read(buffer)) {
        if (fromClient) {
          head.append(new String(buffer, 0, count, StandardCharsets.ISO_8859_1));
          takeRequestLines(head);
        }
        out.write(buffer, 0, count);
      }
    } catch (IOException e) {
      // One of the two has gone.
    }
  }

  private void takeRequestLines(StringBuilder head) {
    Matcher line = REQUEST_LINE.matcher(head);
    int end = 0;
    while (line.find()) {
      requests.add(line.group(1));
      end = line.end();
    }
    head.delete(0, end);
  }

  @Override
  public void close() throws IOException {
    listening.close();
    for (Socket socket : sockets) {
      socket.close();
    }
  }
}
