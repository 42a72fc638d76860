package dev.zeusd.server.http;

import io.helidon.common.buffers.BufferData;
import io.helidon.common.buffers.DataReader;
import io.helidon.http.Status;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.http1.Http1Config;
import io.helidon.webserver.http1.Http1ConnectionSelector;
import io.helidon.webserver.spi.ServerConnection;
import io.helidon.webserver.spi.ServerConnectionSelector;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

/**
 * Takes every connection, and lets Helidon serve it with {@link RequestHeads} between. It has to be
 * the only selector.
 */
public final class HttpSelector implements ServerConnectionSelector {
  private static final System.Logger LOG = System.getLogger(HttpSelector.class.getName());

  private final Http1ConnectionSelector http1;
  private final int maxLineBytes;
  private final AtomicBoolean hasSaidTls = new AtomicBoolean();

  /** Connections of {@code config}. */
  public HttpSelector(Http1Config config) {
    http1 = Http1ConnectionSelector.builder().config(config).build();
    maxLineBytes = Math.max(config.maxPrologueLength(), config.maxHeadersSize());
  }

  @Override
  public int bytesToIdentifyConnection() {
    return http1.bytesToIdentifyConnection();
  }

  @Override
  public Support supports(BufferData data) {
    return Support.SUPPORTED;
  }

  @Override
  public Set<String> supportedApplicationProtocols() {
    return http1.supportedApplicationProtocols();
  }

  @Override
  public ServerConnection connection(ConnectionContext context) {
    Supplier<byte[]> requestHeads =
        new RequestHeads(context.dataReader(), maxLineBytes, () -> refuseTls(context));
    DataReader heads = DataReader.create(requestHeads);
    return http1.connection(new RewiredContext(context, heads));
  }

  private void refuseTls(ConnectionContext context) {
    if (hasSaidTls.compareAndSet(false, true)) {
      // Empty for a Unix socket.
      String address = context.remotePeer().address().toString();
      LOG.log(
          System.Logger.Level.INFO,
          "{0} speaks TLS, but this daemon speaks plain HTTP: use http, not https; said once",
          address.isEmpty() ? "a client" : address);
    }
    byte[] refusal =
        ErrorMapper.response(
            Status.BAD_REQUEST_400, "this is plain HTTP, without TLS: use http, not https");
    context.dataWriter().writeNow(BufferData.create(refusal));
  }
}
