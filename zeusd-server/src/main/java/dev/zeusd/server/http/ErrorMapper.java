package dev.zeusd.server.http;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.server.http.FanOut.DeviceErrors;
import io.helidon.http.DirectHandler;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Method;
import io.helidon.http.ServerResponseHeaders;
import io.helidon.http.Status;
import io.helidon.webserver.http.DirectHandlers;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;

/** Turns every failure into a status and a JSON body. */
public final class ErrorMapper {
  private static final System.Logger LOG = System.getLogger(ErrorMapper.class.getName());

  private static final Status HEADERS_TOO_LARGE =
      Status.create(431, "Request Header Fields Too Large");

  /** What is said with a 413. */
  static final String BODY_REFUSED = "a request has no body here: parameters go into the query";

  private ErrorMapper() {}

  /** Failures of handlers. */
  static void addTo(HttpRouting.Builder routing) {
    routing
        .error(
            DeviceErrors.class,
            (request, response, e) ->
                send(request, response, worst(e), WireJson.deviceErrors(e.byId())))
        .error(
            HttpException.class,
            (request, response, e) -> {
              e.headers().forEach(response::header);
              send(request, response, e.status(), WireJson.error(e.getMessage()));
            })
        .error(
            RuntimeException.class,
            (request, response, e) -> {
              LOG.log(System.Logger.Level.ERROR, "unexpected failure of a request", e);
              send(
                  request,
                  response,
                  Status.INTERNAL_SERVER_ERROR_500,
                  WireJson.error("internal error; the log of the daemon has more"));
            });
  }

  /** What Helidon itself refuses before there is a request. */
  public static DirectHandlers directHandlers() {
    DirectHandlers.Builder handlers = DirectHandlers.builder();
    for (DirectHandler.EventType type : DirectHandler.EventType.values()) {
      handlers.addHandler(type, ErrorMapper::refuse);
    }
    return handlers.build();
  }

  private static DirectHandler.TransportResponse refuse(
      DirectHandler.TransportRequest request,
      DirectHandler.EventType type,
      Status defaultStatus,
      ServerResponseHeaders headers,
      String message) {
    // Too large a body comes without a message, and some with one that points to a log.
    boolean told = message != null && !message.isEmpty() && !message.contains("see server log");
    String text = told ? message : defaultStatus.reasonPhrase();
    if (defaultStatus.equals(Status.REQUEST_ENTITY_TOO_LARGE_413)) {
      text = BODY_REFUSED;
    }
    // Helidon has one status for all that is wrong with headers, and tells them apart by text.
    Status status = text.contains("Header size exceeded") ? HEADERS_TOO_LARGE : defaultStatus;
    return DirectHandler.TransportResponse.builder()
        .status(status)
        .headers(headers)
        .header(HeaderValues.CONTENT_TYPE_JSON)
        .keepAlive(type.keepAlive())
        .entity(WireJson.error(text))
        .build();
  }

  /** Answers with an error, without a body where there must not be one. */
  static void send(ServerRequest request, ServerResponse response, Status status, byte[] json) {
    response.status(status);
    if (request.prologue().method().equals(Method.HEAD)) {
      response.send();
    } else {
      Routes.sendJson(response, json);
    }
  }

  private static Status worst(DeviceErrors errors) {
    return errors.byId().values().stream()
        .map(ErrorMapper::status)
        .max((a, b) -> Integer.compare(a.code(), b.code()))
        .orElse(Status.INTERNAL_SERVER_ERROR_500);
  }

  private static Status status(DeviceException e) {
    return switch (e) {
      case DeviceException.InvalidArgument invalid -> Status.BAD_REQUEST_400;
      case DeviceException.NotSupported unsupported -> Status.BAD_REQUEST_400;
      case DeviceException.NoPermission denied -> Status.FORBIDDEN_403;
      case DeviceException.Unavailable busy -> Status.SERVICE_UNAVAILABLE_503;
      case DeviceException.Failed failed -> Status.INTERNAL_SERVER_ERROR_500;
    };
  }
}
