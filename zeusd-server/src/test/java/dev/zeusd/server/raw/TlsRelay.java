package dev.zeusd.server.raw;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketAddress;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.net.ssl.SSLContext;

/** Takes plain connections, and passes on over TLS what comes: for clients that cannot speak it. */
public final class TlsRelay implements AutoCloseable {
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private final ServerSocket listening;
  private final SSLContext context;
  private final InetSocketAddress target;
  private final Set<Socket> open = ConcurrentHashMap.newKeySet();

  /** To {@code target}, by the JDK's TLS. */
  public TlsRelay(SSLContext context, InetSocketAddress target) throws IOException {
    this.context = context;
    this.target = target;
    listening = new ServerSocket(0, 1000, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
  }

  /** Where it takes connections. */
  public SocketAddress address() {
    return listening.getLocalSocketAddress();
  }

  private void accept() {
    try {
      while (true) {
        Socket plain = listening.accept();
        Thread.ofVirtual().start(() -> serve(plain));
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private void serve(Socket plain) {
    open.add(plain);
    try (plain;
        Socket tls =
            context.getSocketFactory().createSocket(target.getHostString(), target.getPort())) {
      open.add(tls);
      plain.setTcpNoDelay(true);
      tls.setTcpNoDelay(true);
      Thread back = Thread.ofVirtual().start(() -> pass(tls, plain));
      // What comes back may still be on its way, such as an answer that refuses the rest.
      if (pass(plain, tls) || back.join(PATIENCE)) {
        back.join();
      }
      open.remove(tls);
    } catch (IOException | InterruptedException e) {
      // Whoever has connected sees its end.
    } finally {
      open.remove(plain);
    }
  }

  /** Passes on what comes, and its end; false if that is not taken any more. */
  private static boolean pass(Socket from, Socket to) {
    byte[] bytes = new byte[16384];
    try {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      for (int count = in.read(bytes); count >= 0; count = in.read(bytes)) {
        if (!write(out, bytes, count)) {
          return false;
        }
      }
      to.shutdownOutput();
    } catch (IOException e) {
      close(to);
      close(from);
    }
    return true;
  }

  private static boolean write(OutputStream out, byte[] bytes, int count) {
    try {
      out.write(bytes, 0, count);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      // It is closed even so.
    }
  }

  @Override
  public void close() throws IOException {
    listening.close();
    open.forEach(TlsRelay::close);
  }
}
