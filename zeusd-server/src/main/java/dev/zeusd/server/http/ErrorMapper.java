package dev.zeusd.server.http;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.energy.WindowException;
import dev.zeusd.core.settings.LeaseException;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.server.connection.TryLater;
import io.helidon.http.DirectHandler;
import io.helidon.http.Header;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Method;
import io.helidon.http.ServerResponseHeaders;
import io.helidon.http.Status;
import io.helidon.http.WritableHeaders;
import io.helidon.webserver.ServerConnectionException;
import io.helidon.webserver.http.DirectHandlers;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;

/** Turns every failure into a status and a JSON body. */
public final class ErrorMapper {
  private static final System.Logger LOG = System.getLogger(ErrorMapper.class.getName());

  private static final Status HEADERS_TOO_LARGE =
      Status.create(431, "Request Header Fields Too Large");

  /** A lease of somebody else holds what is to be changed. */
  static final Status LOCKED = Status.create(423, "Locked");

  /** A device that does not answer, or has too much to do, is worth another try by then. */
  private static final Header RETRY_AFTER = TryLater.header(Answer.PATIENCE);

  /** What is said with a 413. */
  static final String BODY_REFUSED = "a request has no body here: parameters go into the query";

  private ErrorMapper() {}

  /** Failures of handlers. */
  static void addTo(HttpRouting.Builder routing) {
    routing
        .error(DeviceErrors.class, ErrorMapper::sendDeviceErrors)
        .error(LeaseException.class, ErrorMapper::sendLeaseError)
        .error(WindowException.class, ErrorMapper::sendWindowError)
        .error(HttpException.class, ErrorMapper::send)
        .error(
            Throwable.class,
            (request, response, e) -> {
              LOG.log(System.Logger.Level.ERROR, "unexpected failure of a request", e);
              send(
                  request,
                  response,
                  Status.INTERNAL_SERVER_ERROR_500,
                  WireJson.error("internal error; the log of the daemon has more"));
            });
  }

  private static void sendDeviceErrors(
      ServerRequest request, ServerResponse response, DeviceErrors e) {
    Status status = worst(e);
    if (status.equals(Status.SERVICE_UNAVAILABLE_503)) {
      response.header(RETRY_AFTER);
    }
    send(request, response, status, json(e));
  }

  private static byte[] json(DeviceErrors e) {
    byte[] errors = WireJson.deviceErrors(e.byId());
    return e.others().map(others -> WireJson.joined(others, errors)).orElse(errors);
  }

  private static void sendLeaseError(
      ServerRequest request, ServerResponse response, LeaseException e) {
    switch (e) {
      case LeaseException.Held held -> send(request, response, LOCKED, LeaseJson.held(held));
      case LeaseException.Unreadable unreadable ->
          sendDeviceErrors(
              request, response, new DeviceErrors(unreadable.failures(), Optional.empty()));
      case LeaseException.Ended ended ->
          send(
              request,
              response,
              Status.GONE_410,
              WireJson.error(e.getMessage() + LeaseJson.TAKE_ANOTHER));
      case LeaseException.NotCovered other ->
          send(
              request,
              response,
              Status.BAD_REQUEST_400,
              WireJson.error(e.getMessage() + ": take one that does, with POST /lease"));
      case LeaseException.Stopping stopping ->
          send(
              request,
              response,
              TryLater.refusal(
                  Status.SERVICE_UNAVAILABLE_503, e.getMessage(), Duration.ofSeconds(1)));
      case LeaseException.NotSaved lost ->
          send(request, response, Status.INTERNAL_SERVER_ERROR_500, WireJson.error(e.getMessage()));
    }
  }

  private static void sendWindowError(
      ServerRequest request, ServerResponse response, WindowException e) {
    HttpException answer =
        switch (e) {
          case WindowException.Ended ended ->
              new HttpException(e.getMessage(), Status.GONE_410, true);
          case WindowException.TooMany full ->
              TryLater.refusal(Status.TOO_MANY_REQUESTS_429, e.getMessage(), Duration.ofMinutes(1));
          case WindowException.NoDevices none ->
              TryLater.refusal(
                  Status.SERVICE_UNAVAILABLE_503,
                  e.getMessage() + "; GET /discover says why",
                  Answer.PATIENCE);
        };
    send(request, response, answer);
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
    // Too large a body comes without a message.
    boolean told = message != null && !message.isEmpty();
    String text = told ? message : defaultStatus.reasonPhrase();
    if (text.contains("see server log")) {
      // What Helidon says so of is always the request line, which might be shown.
      text = "malformed request line: it has to be of the form GET /path HTTP/1.1";
    }
    if (defaultStatus.equals(Status.REQUEST_ENTITY_TOO_LARGE_413)) {
      text = BODY_REFUSED;
    }
    Status status = defaultStatus;
    if (text.contains("Header size exceeded")) {
      // Helidon has one status for all that is wrong with headers, and tells them apart by text.
      status = HEADERS_TOO_LARGE;
    } else if (type == DirectHandler.EventType.INTERNAL_ERROR && request.path().isEmpty()) {
      // Its parsers fail by themselves on some input, before there is a request to answer.
      status = Status.BAD_REQUEST_400;
      text = "malformed request";
    }
    return DirectHandler.TransportResponse.builder()
        .status(status)
        .headers(headers)
        .header(HeaderValues.CONTENT_TYPE_JSON)
        .keepAlive(type.keepAlive())
        .entity(request.method().equals(Method.HEAD.text()) ? new byte[0] : WireJson.error(text))
        .build();
  }

  /** Answers with what was thrown. */
  static void send(ServerRequest request, ServerResponse response, HttpException e) {
    e.headers().forEach(response::header);
    send(request, response, e.status(), WireJson.error(e.getMessage()));
  }

  /** Answers with an error. */
  static void send(ServerRequest request, ServerResponse response, Status status, byte[] json) {
    response.status(status);
    AuditedRequest.of(request).ifPresent(audited -> audited.error(json));
    try {
      Routes.sendJson(request, response, json);
    } catch (ServerConnectionException e) {
      // The client has left. Helidon would log whatever is thrown here.
      response.headers().set(HeaderValues.CONNECTION_CLOSE);
    }
  }

  /** A whole response to what is no request. */
  static byte[] response(Status status, String message) {
    return response(status, WritableHeaders.create(), WireJson.error(message), false);
  }

  /** A whole response, for a request whose handler is held up by a device. */
  static byte[] inPlaceOfHandler(DeviceErrors e, boolean isHead) {
    Status status = worst(e);
    WritableHeaders<?> headers = WritableHeaders.create();
    if (status.equals(Status.SERVICE_UNAVAILABLE_503)) {
      headers.set(RETRY_AFTER);
    }
    return response(status, headers, json(e), isHead);
  }

  private static byte[] response(
      Status status, WritableHeaders<?> headers, byte[] json, boolean isHead) {
    headers.set(HeaderValues.CONTENT_TYPE_JSON).set(HeaderValues.CONNECTION_CLOSE);
    headers.contentLength(json.length);
    byte[] head = ResponseHead.of(status, headers);
    byte[] response = Arrays.copyOf(head, head.length + (isHead ? 0 : json.length));
    System.arraycopy(json, 0, response, head.length, response.length - head.length);
    return response;
  }

  /** The status that tells of them all. */
  static Status worst(DeviceErrors errors) {
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
      case DeviceException.LeaseEnded ended -> Status.GONE_410;
      case DeviceException.HeldByLease held -> LOCKED;
      case DeviceException.Failed failed -> Status.INTERNAL_SERVER_ERROR_500;
    };
  }
}
