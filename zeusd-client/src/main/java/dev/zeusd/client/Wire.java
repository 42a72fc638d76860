package dev.zeusd.client;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;

/** Bytes to the daemon and back. {@link #close}, from any thread, ends what waits for them. */
interface Wire extends Closeable {
  InputStream in() throws IOException;

  OutputStream out() throws IOException;

  /** How long a read waits for the next byte. */
  void readTimeout(int millis) throws IOException;

  /** Connects; closing {@code opening} ends that. */
  static Wire open(ClientConfig config, Opening opening) throws IOException {
    int millis = (int) config.timeout().toMillis();
    return switch (config.endpoint()) {
      case Endpoint.Unix(var path) -> UnixWire.open(path, millis, opening);
      case Endpoint.Tcp(String host, int port) ->
          new OfSocket(connect(host, port, millis, opening), millis);
      case Endpoint.Tls(String host, int port) ->
          new OfSocket(secure(config, connect(host, port, millis, opening), host, port), millis);
    };
  }

  private static Socket connect(String host, int port, int millis, Opening opening)
      throws IOException {
    Socket socket = opening.with(new Socket());
    try {
      socket.connect(new InetSocketAddress(host, port), millis);
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(millis);
      return socket;
    } catch (IOException | RuntimeException e) {
      socket.close();
      throw e;
    }
  }

  /** With the certificate checked, also that it is for this host. */
  private static SSLSocket secure(ClientConfig config, Socket socket, String host, int port)
      throws IOException {
    try {
      SSLContext context =
          config.sslContext().isPresent() ? config.sslContext().get() : SSLContext.getDefault();
      SSLSocket secured =
          (SSLSocket) context.getSocketFactory().createSocket(socket, host, port, true);
      SSLParameters parameters = secured.getSSLParameters();
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      secured.setSSLParameters(parameters);
      secured.startHandshake();
      return secured;
    } catch (java.security.NoSuchAlgorithmException e) {
      socket.close();
      throw new IOException("this JVM has no TLS", e);
    } catch (IOException | RuntimeException e) {
      socket.close();
      throw e;
    }
  }

  /** TCP, with TLS or without. */
  record OfSocket(Socket socket) implements Wire {
    OfSocket(Socket socket, int millis) throws IOException {
      this(socket);
      readTimeout(millis);
    }

    @Override
    public InputStream in() throws IOException {
      return socket.getInputStream();
    }

    @Override
    public OutputStream out() throws IOException {
      return socket.getOutputStream();
    }

    @Override
    public void readTimeout(int millis) throws IOException {
      socket.setSoTimeout(millis);
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }
}
