package dev.zeusd.server.http;

import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.InvalidTokenException;
import dev.zeusd.server.auth.Tokens;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import java.util.List;

/**
 * Who may call what. It is asked by the routes themselves, after routing, so that no other spelling
 * of a path gets past it.
 */
public final class AuthFilter {
  private static final String SCHEME = "Bearer ";

  private final Tokens tokens;
  private final Connections connections;

  /** Accepts what {@code tokens} accepts, and tells {@code connections} whose they are. */
  public AuthFilter(Tokens tokens, Connections connections) {
    this.tokens = tokens;
    this.connections = connections;
  }

  /**
   * Checks the token of a request.
   *
   * @throws HttpException 401 without a valid token
   */
  public Claims authenticate(ServerRequest request) {
    List<String> headers = request.headers().all(HeaderNames.AUTHORIZATION, List::of);
    if (headers.isEmpty()) {
      throw unauthorized("a token is required: send the header Authorization: Bearer <token>");
    }
    String header = headers.getFirst().strip();
    if (headers.size() > 1 || !header.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
      throw unauthorized("the header Authorization must be there once, as: Bearer <token>");
    }
    try {
      Claims claims = tokens.verify(header.substring(SCHEME.length()).strip());
      connections.hasToken(request, claims.sub());
      return claims;
    } catch (InvalidTokenException e) {
      throw unauthorized(e.getMessage());
    }
  }

  /** If there is a good token, the request counts as its user's from here on. */
  void recognize(ServerRequest request) {
    if (request.headers().contains(HeaderNames.AUTHORIZATION)) {
      try {
        authenticate(request);
      } catch (HttpException e) {
        // The route says so, if it needs one.
      }
    }
  }

  /**
   * Checks that the request's token has the scope of a group.
   *
   * @throws HttpException 401 without a valid token, 403 without the scope
   */
  public Claims authorize(ServerRequest request, ApiGroup group) {
    Claims claims = authenticate(request);
    if (!claims.scopes().contains(group.wireName())) {
      throw new HttpException(
          "user '%s' needs the scope %s; the token has %s"
              .formatted(
                  claims.sub(),
                  group.wireName(),
                  claims.scopes().isEmpty() ? "none" : String.join(", ", claims.scopes())),
          Status.FORBIDDEN_403,
          true);
    }
    return claims;
  }

  private static HttpException unauthorized(String why) {
    HttpException e = new HttpException(why, Status.UNAUTHORIZED_401, true);
    e.header(HeaderValues.create(HeaderNames.WWW_AUTHENTICATE, "Bearer realm=\"zeusd\""));
    return e;
  }
}
