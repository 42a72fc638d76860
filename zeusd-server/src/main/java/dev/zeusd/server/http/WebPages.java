package dev.zeusd.server.http;

import dev.zeusd.server.WebAccess;
import io.helidon.http.Header;
import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Method;
import io.helidon.http.Status;
import io.helidon.webserver.http.Filter;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Set;

/**
 * Refuses what a web page of another origin makes a browser send, before anything happens, and lets
 * the pages in that are allowed to.
 *
 * <p>A browser tells where a request comes from by {@code Origin}, which it leaves out of simple
 * GETs, and by {@code Sec-Fetch-Site}. It tells neither when a name of the page's own site points
 * to this machine (DNS rebinding); then {@code Host} shows that name. Other clients send none of
 * the first two.
 */
public final class WebPages implements Filter {
  private static final HeaderName SEC_FETCH_SITE = HeaderNames.create("Sec-Fetch-Site");

  /** Sent by this daemon's own pages, or by the reader: an address typed in, a bookmark. */
  private static final Set<String> OWN_SITES = Set.of("same-origin", "none");

  private static final HeaderName PRIVATE_NETWORK =
      HeaderNames.create("Access-Control-Request-Private-Network");
  private static final Header ALLOW_PRIVATE_NETWORK =
      HeaderValues.create("Access-Control-Allow-Private-Network", "true");
  private static final Header VARY = HeaderValues.create(HeaderNames.VARY, "Origin");
  private static final Header EXPOSED =
      HeaderValues.create("Access-Control-Expose-Headers", "Allow, Retry-After, WWW-Authenticate");
  private static final Header ALLOWED_METHODS =
      HeaderValues.create("Access-Control-Allow-Methods", "GET, HEAD, POST");

  /** A star is all but this one. */
  private static final Header ALLOWED_HEADERS =
      HeaderValues.create("Access-Control-Allow-Headers", "*, Authorization");

  private static final Header MAX_AGE = HeaderValues.create("Access-Control-Max-Age", "600");
  private static final int LONGEST_SHOWN = 100;

  private final WebAccess access;
  private final boolean refusesStrangers;

  /** Most requests have the same. */
  private volatile String lastAllowedHost = "";

  /**
   * Lets in what {@code access} names.
   *
   * @param refusesStrangers whether to refuse others, since no token is asked for; not on a Unix
   *     socket, which browsers cannot reach
   */
  public WebPages(WebAccess access, boolean refusesStrangers) {
    this.access = access;
    this.refusesStrangers = refusesStrangers;
  }

  @Override
  public void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    List<String> origins = request.headers().all(HeaderNames.ORIGIN, List::of);
    boolean isAllowed = origins.size() == 1 && access.allowsOrigin(origins.getFirst());
    if (isAllowed) {
      allow(request, response, origins.getFirst());
    }
    if (refusesStrangers && request.remotePeer().address() instanceof InetSocketAddress) {
      String host = request.headers().first(HeaderNames.HOST).orElse("");
      if (!host.equals(lastAllowedHost)) {
        if (!access.allowsHost(host)) {
          throw refused(
              "the name '%s' is not known to be this daemon's: use its IP address, or start it with"
                  + " --allowed-host %s",
              host, host.replaceFirst(":\\d*$", ""));
        }
        lastAllowedHost = host;
      }
      if (!isAllowed) {
        refuseOtherOrigins(request, origins, host);
      }
    }
    chain.proceed();
  }

  private static void refuseOtherOrigins(ServerRequest request, List<String> origins, String host) {
    for (String origin : origins) {
      String own = (request.isSecure() ? "https://" : "http://") + host;
      if (!WebAccess.isSameOrigin(origin, own)) {
        throw refused(
            "a web page of another origin, '%s', sent this request: start the daemon with"
                + " --allowed-origin %s to allow that, or with a signing key",
            origin, origin.equals("null") ? "ORIGIN" : origin);
      }
    }
    for (String site : request.headers().all(SEC_FETCH_SITE, List::of)) {
      if (!OWN_SITES.contains(site)) {
        throw refused(
            "a web page of another origin sent this request (Sec-Fetch-Site: %s): start the daemon"
                + " with --allowed-origin %s to allow that, or with a signing key",
            site, "ORIGIN");
      }
    }
  }

  private static HttpException refused(String message, String culprit, String wayOut) {
    return new HttpException(
        message.formatted(shortened(culprit), shortened(wayOut)), Status.FORBIDDEN_403, true);
  }

  private static String shortened(String text) {
    return text.length() > LONGEST_SHOWN ? text.substring(0, LONGEST_SHOWN) + "…" : text;
  }

  /** Tells the browser, in the terms of CORS. */
  private static void allow(ServerRequest request, ServerResponse response, String origin) {
    response.header(HeaderValues.create(HeaderNames.ACCESS_CONTROL_ALLOW_ORIGIN, origin));
    response.header(VARY).header(EXPOSED);
    boolean isPreflight =
        request.prologue().method().equals(Method.OPTIONS)
            && request.headers().contains(HeaderNames.ACCESS_CONTROL_REQUEST_METHOD);
    if (isPreflight) {
      response.header(ALLOWED_METHODS).header(ALLOWED_HEADERS).header(MAX_AGE);
      if (request.headers().contains(PRIVATE_NETWORK)) {
        response.header(ALLOW_PRIVATE_NETWORK);
      }
    }
  }
}
