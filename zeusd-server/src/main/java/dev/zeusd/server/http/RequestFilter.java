package dev.zeusd.server.http;

import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.connection.ConnectionRegistry;
import io.helidon.http.HeaderValues;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.Filter;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;
import io.helidon.webserver.http.ServerRequest;
import java.io.IOException;
import java.util.Optional;

/**
 * What each request begins and ends with: its connection notes what is being done, a body is
 * refused, and it waits to be admitted.
 */
public final class RequestFilter implements Filter {
  private final ConnectionRegistry registry;
  private final Access access;
  private final Audit audit;

  /** For requests of the connections in {@code registry}. */
  public RequestFilter(ConnectionRegistry registry, Access access, Audit audit) {
    this.registry = registry;
    this.access = access;
    this.audit = audit;
  }

  @Override
  public void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    Connection connection = registry.get(request.socketId());
    boolean hasBody = hasBody(request);
    connection.beginRequest();
    response.beforeSend(connection::beginAnswer);
    Optional<AuditedRequest> audited = audit.begin(request, connection);
    audited.ifPresent(each -> response.beforeSend(() -> each.answered(response.status())));
    try {
      if (hasBody) {
        refuseBody(request, response);
      }
      registry.awaitAdmission(connection, () -> access.recognize(request, connection));
      chain.proceed();
    } catch (CloseConnectionException e) {
      audited.ifPresent(AuditedRequest::abandoned);
      throw e;
    } finally {
      connection.endRequest();
    }
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

  private static void refuseBody(RoutingRequest request, RoutingResponse response) {
    response.header(HeaderValues.CONNECTION_CLOSE);
    ErrorMapper.send(
        request,
        response,
        Status.REQUEST_ENTITY_TOO_LARGE_413,
        WireJson.error(ErrorMapper.BODY_REFUSED));
    throw new CloseConnectionException("what comes next is the body");
  }
}
