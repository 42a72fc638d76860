package dev.zeusd.server.http;

import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.metrics.RequestCounters;
import io.helidon.http.Header;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Method;
import io.helidon.http.ServerRequestHeaders;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.Handler;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.time.Instant;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Registers endpoints, each with the rules that every endpoint has: 404 where its group is not
 * enabled, 405 for another method.
 */
public final class Routes {
  private final HttpRouting.Builder routing = HttpRouting.builder();
  private final Set<ApiGroup> enabled;
  private final Optional<AuthFilter> auth;
  private final Connections connections;
  private final RequestCounters requests = new RequestCounters();
  private final SortedMap<String, String> methods = new TreeMap<>();

  /**
   * Routes of which those of the groups {@code enabled} can be reached, with a token if there is
   * {@code auth}.
   */
  public Routes(
      Set<ApiGroup> enabled,
      Optional<AuthFilter> auth,
      Connections connections,
      WebPages webPages) {
    this.enabled = enabled;
    this.auth = auth;
    this.connections = connections;
    ErrorMapper.addTo(routing);
    routing.addFilter(
        (chain, request, response) -> {
          if (isHttp10(request)) {
            response.header(connectionForHttp10(request));
          }
          try {
            chain.proceed();
          } catch (HttpException e) {
            // Of the filters below: Helidon would answer only after this one.
            ErrorMapper.send(request, response, e);
          } finally {
            requests.count(
                request.matchingPattern().orElse(RequestCounters.NO_ENDPOINT),
                response.status().code());
          }
          // Helidon answers with this header and then leaves the connection open.
          if (request.headers().containsToken(HeaderValues.CONNECTION_CLOSE)
              || response.headers().containsToken(HeaderValues.CONNECTION_CLOSE)) {
            throw new CloseConnectionException("the client asked for it, or was told so");
          }
        });
    routing.addFilter(connections);
    routing.addFilter(
        (chain, request, response) -> {
          connections.awaitTurn(request, () -> auth.ifPresent(filter -> filter.recognize(request)));
          chain.proceed();
        });
    routing.addFilter(webPages);
  }

  /** HTTP/1.0 closes unless asked not to; and also after what it does not know. */
  private static Header connectionForHttp10(ServerRequest request) {
    ServerRequestHeaders headers = request.headers();
    return headers.containsToken(HeaderValues.CONNECTION_KEEP_ALIVE)
            && !headers.contains(HeaderNames.TRANSFER_ENCODING)
        ? HeaderValues.CONNECTION_KEEP_ALIVE
        : HeaderValues.CONNECTION_CLOSE;
  }

  /** An endpoint that is always there. */
  void get(String path, Handler handler) {
    add(Method.GET, path, handler);
  }

  /** An endpoint of a group. */
  void get(ApiGroup group, String path, Handler handler) {
    add(
        Method.GET,
        path,
        group,
        auth.<Handler>map(
                filter ->
                    (request, response) -> {
                      filter.authorize(request, group);
                      handler.handle(request, response);
                    })
            .orElse(handler));
  }

  /** Handles a request that is answered with as much as it may see. */
  interface RightsHandler {
    /**
     * Handles a request.
     *
     * @param groups those that are enabled and, where tokens are needed, that the token has
     */
    void handle(ServerRequest request, ServerResponse response, Set<ApiGroup> groups);
  }

  /** An endpoint that is always there, for whoever has a token where tokens are needed. */
  void getByRights(String path, RightsHandler handler) {
    add(
        Method.GET,
        path,
        (request, response) -> {
          Set<ApiGroup> groups = EnumSet.noneOf(ApiGroup.class);
          groups.addAll(enabled);
          if (auth.isPresent()) {
            List<String> scopes = auth.get().authenticate(request).scopes();
            groups.removeIf(group -> !scopes.contains(group.wireName()));
          }
          handler.handle(request, response, groups);
        });
  }

  /** Handles a request whose answer lasts. */
  public interface StreamHandler {
    /**
     * Handles a request.
     *
     * @param acceptedUntil by the wall clock, when the answer has to end because the token does
     */
    void handle(ServerRequest request, ServerResponse response, Instant acceptedUntil);
  }

  /** An endpoint of a group whose answer ends when the token does. */
  public void stream(ApiGroup group, String path, StreamHandler handler) {
    add(
        Method.GET,
        path,
        group,
        auth.<Handler>map(
                filter ->
                    (request, response) -> {
                      Claims claims = filter.authorize(request, group);
                      handler.handle(request, response, Tokens.acceptedUntil(claims));
                    })
            .orElse((request, response) -> handler.handle(request, response, Instant.MAX)));
  }

  /** Handles a request of a known user, for what is written to the log. */
  interface UserHandler {
    /**
     * Handles a request.
     *
     * @param user the token's, or who is at the other end of the connection
     */
    void handle(ServerRequest request, ServerResponse response, String user);
  }

  /** An endpoint of a group that changes something. */
  void post(ApiGroup group, String path, UserHandler handler) {
    add(
        Method.POST,
        path,
        group,
        auth.<Handler>map(
                filter ->
                    (request, response) -> {
                      String user = filter.authorize(request, group).sub();
                      handler.handle(request, response, "user '" + user + "'");
                    })
            .orElse(
                (request, response) ->
                    handler.handle(request, response, connections.peer(request))));
  }

  /**
   * Who asks about leases.
   *
   * @param name as {@link UserHandler} has it
   * @param isAdmin whether others' leases are this one's business, too: by the scope {@code
   *     lease-admin}, or as root on the Unix socket
   */
  record Caller(String name, boolean isAdmin) {}

  /** Handles a request about leases. */
  interface CallerHandler {
    /** Handles a request. */
    void handle(ServerRequest request, ServerResponse response, Caller caller);
  }

  /** An endpoint that tells about leases: for the group's scope, and for admins of leases. */
  void getOfLeases(ApiGroup group, String path, CallerHandler handler) {
    add(Method.GET, path, group, ofLeases(group, handler));
  }

  /** An endpoint that changes leases: for the group's scope, and for admins of leases. */
  void postOfLeases(ApiGroup group, String path, CallerHandler handler) {
    add(Method.POST, path, group, ofLeases(group, handler));
  }

  private Handler ofLeases(ApiGroup group, CallerHandler handler) {
    return (request, response) -> {
      boolean isRoot = connections.isRoot(request);
      if (auth.isEmpty()) {
        handler.handle(request, response, new Caller(connections.peer(request), isRoot));
        return;
      }
      Claims claims = auth.get().authenticate(request);
      boolean isAdmin = claims.scopes().contains(Claims.LEASE_ADMIN);
      if (!isAdmin) {
        auth.get().authorize(request, group);
      }
      handler.handle(
          request, response, new Caller("user '" + claims.sub() + "'", isAdmin || isRoot));
    };
  }

  private void add(Method method, String path, ApiGroup group, Handler handler) {
    if (enabled.contains(group)) {
      add(method, path, handler);
      return;
    }
    routing.any(
        path,
        (request, response) -> {
          throw new HttpException(
              "API group " + group.wireName() + " is not enabled on this daemon",
              Status.NOT_FOUND_404,
              true);
        });
  }

  private void add(Method method, String path, Handler handler) {
    requests.add(path);
    methods.put(path, method.text());
    routing.route(method, path, handler);
    if (method.equals(Method.GET)) {
      // The handlers answer without the body.
      routing.route(Method.HEAD, path, handler);
    }
    String allowed = method.equals(Method.GET) ? "GET, HEAD, OPTIONS" : method.text() + ", OPTIONS";
    routing.options(path, (request, response) -> sendAllowed(response, allowed));
    routing.any(
        path,
        (request, response) -> {
          response.header(HeaderNames.ALLOW, allowed);
          throw new HttpException(
              request.prologue().method().text() + " is not allowed here, use " + method.text(),
              Status.METHOD_NOT_ALLOWED_405,
              true);
        });
  }

  private static void sendAllowed(ServerResponse response, String methods) {
    response.status(Status.NO_CONTENT_204).header(HeaderNames.ALLOW, methods).send();
  }

  /** The requests that these routes have answered. */
  public RequestCounters requests() {
    return requests;
  }

  /** The method of each path that can be reached; HEAD, where GET is, and OPTIONS are not named. */
  public SortedMap<String, String> methods() {
    return Collections.unmodifiableSortedMap(methods);
  }

  /** Everything registered, and 404 for the rest. */
  public HttpRouting.Builder finish() {
    return routing.any(
        (request, response) -> {
          String path = request.path().rawPath();
          if (request.prologue().method().equals(Method.OPTIONS) && path.equals("*")) {
            // About the daemon as a whole.
            sendAllowed(response, "GET, HEAD, POST, OPTIONS");
            return;
          }
          throw new HttpException("no such endpoint: " + path, Status.NOT_FOUND_404, true);
        });
  }

  /** Whether the client speaks HTTP/1.0, and cannot be answered in chunks. */
  public static boolean isHttp10(ServerRequest request) {
    return request.headers().contains(RequestHeads.VERSION);
  }

  /** Whether the answer is to have no body. */
  public static boolean isHead(ServerRequest request) {
    return request.prologue().method().equals(Method.HEAD);
  }

  /** Answers with a JSON body or, to a HEAD, with what would be said about it. */
  static void sendJson(ServerRequest request, ServerResponse response, byte[] json) {
    response.header(HeaderValues.CONTENT_TYPE_JSON);
    send(request, response, json);
  }

  /** The same with whatever body its headers say. */
  static void send(ServerRequest request, ServerResponse response, byte[] body) {
    if (isHead(request)) {
      response.headers().contentLength(body.length);
      response.send();
    } else {
      response.send(body);
    }
  }
}
