package dev.zeusd.server.http;

import dev.zeusd.server.ApiGroup;
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
import java.util.Collections;
import java.util.EnumSet;
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
  private final Access access;
  private final Audit audit;
  private final RequestCounters requests = new RequestCounters();
  private final SortedMap<String, String> methods = new TreeMap<>();

  /**
   * Routes of which those of the groups {@code enabled} can be reached, by whom {@code access}
   * admits.
   *
   * @param audit is told of those that change something
   */
  public Routes(
      Set<ApiGroup> enabled,
      Access access,
      Audit audit,
      RequestFilter requestFilter,
      WebPages webPages) {
    this.enabled = enabled;
    this.access = access;
    this.audit = audit;
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
    routing.addFilter(requestFilter);
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

  /** A file for browsers, which is always there and no part of the API. */
  void page(String path, Handler handler) {
    add(Method.GET, path, handler);
    methods.remove(path);
  }

  /** Handles a request that is answered with as much as its sender may see. */
  interface RightsHandler {
    /**
     * Handles a request.
     *
     * @param groups those that are enabled, and that the requester may use
     */
    void handle(
        ServerRequest request, ServerResponse response, Requester requester, Set<ApiGroup> groups);
  }

  /** An endpoint that is always there, for whoever has a token where tokens are needed. */
  void getByRights(String path, RightsHandler handler) {
    add(
        Method.GET,
        path,
        (request, response) -> {
          Requester requester = access.identify(request);
          Set<ApiGroup> groups = EnumSet.noneOf(ApiGroup.class);
          groups.addAll(enabled);
          groups.removeIf(group -> !requester.mayUse(group));
          handler.handle(request, response, requester, groups);
        });
  }

  /** Handles a request of somebody who may use the endpoint. */
  public interface Endpoint {
    /**
     * Handles a request.
     *
     * @param requester who sends it, and what that one may do
     */
    void handle(ServerRequest request, ServerResponse response, Requester requester);
  }

  /** An endpoint of a group that tells something. */
  public void get(ApiGroup group, String path, Endpoint endpoint) {
    add(Method.GET, path, group, ofGroup(group, endpoint));
  }

  /** An endpoint of a group that changes something. */
  void post(ApiGroup group, String path, Endpoint endpoint) {
    add(Method.POST, path, group, changing(ofGroup(group, onlyIfLogged(endpoint))));
  }

  /** Each request is told to the audit log. */
  private Handler changing(Handler handler) {
    return (request, response) -> {
      if (audit.isOn()) {
        AuditedRequest.of(request).ifPresent(AuditedRequest::changesSomething);
      }
      handler.handle(request, response);
    };
  }

  private Endpoint onlyIfLogged(Endpoint endpoint) {
    return (request, response, requester) -> {
      audit.requireLog();
      endpoint.handle(request, response, requester);
    };
  }

  private Handler ofGroup(ApiGroup group, Endpoint endpoint) {
    return (request, response) -> endpoint.handle(request, response, access.admit(request, group));
  }

  /** An endpoint that tells about leases: for the group's users, and for admins of leases. */
  void getOfLeases(ApiGroup group, String path, Endpoint endpoint) {
    add(Method.GET, path, group, ofLeases(group, endpoint));
  }

  /** An endpoint that changes leases: for the group's users, and for admins of leases. */
  void postOfLeases(ApiGroup group, String path, Endpoint endpoint) {
    add(Method.POST, path, group, changing(ofLeases(group, onlyIfLogged(endpoint))));
  }

  private Handler ofLeases(ApiGroup group, Endpoint endpoint) {
    return (request, response) ->
        endpoint.handle(request, response, access.admitToLeases(request, group));
  }

  /** An endpoint that tells something of several groups, for users of one of them at least. */
  void get(Set<ApiGroup> groups, String path, RightsHandler handler) {
    add(Method.GET, path, groups, handler);
  }

  /** An endpoint that changes something of several groups, for users of one of them at least. */
  void post(Set<ApiGroup> groups, String path, RightsHandler handler) {
    add(Method.POST, path, groups, handler);
  }

  private void add(Method method, String path, Set<ApiGroup> groups, RightsHandler handler) {
    Set<ApiGroup> there = EnumSet.copyOf(groups);
    there.retainAll(enabled);
    if (there.isEmpty()) {
      addDisabled(path, groups.iterator().next());
      return;
    }
    add(
        method,
        path,
        (request, response) -> {
          Requester requester = access.admitToAny(request, there);
          Set<ApiGroup> own = EnumSet.copyOf(there);
          own.removeIf(group -> !requester.mayUse(group));
          handler.handle(request, response, requester, own);
        });
  }

  private void add(Method method, String path, ApiGroup group, Handler handler) {
    if (enabled.contains(group)) {
      add(method, path, handler);
    } else {
      addDisabled(path, group);
    }
  }

  private void addDisabled(String path, ApiGroup group) {
    routing.any(
        path,
        (request, response) -> {
          throw notEnabled(group);
        });
  }

  /** What is said of an endpoint of a group that is not enabled. */
  static HttpException notEnabled(ApiGroup group) {
    return new HttpException(
        "API group " + group.wireName() + " is not enabled on this daemon",
        Status.NOT_FOUND_404,
        true);
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
    return request.headers().contains(HeadRewriter.VERSION);
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
