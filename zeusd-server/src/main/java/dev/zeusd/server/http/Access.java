package dev.zeusd.server.http;

import dev.zeusd.ffm.posix.PeerProcess;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Caller;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.InvalidTokenException;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Rights;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.connection.ConnectionRegistry;
import dev.zeusd.server.connection.Peer;
import dev.zeusd.server.connection.Shares;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import java.security.cert.X509Certificate;
import java.util.Date;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Who may call what: by tokens, where there is a key, and by grants, where there are any. It is
 * asked by the routes themselves, after routing, so that no other spelling of a path gets past it.
 *
 * <p>Thread-safe. Each request is judged by one state of the rules, from its beginning to its end.
 */
public final class Access {
  private static final String SCHEME = "Bearer ";

  private final ConnectionRegistry registry;
  private final Shares shares;
  private final boolean hasTls;
  private final Audit audit;
  private volatile Rules rules;

  /**
   * What is in force at one moment.
   *
   * @param tokens what checks the tokens of requests; without it none is needed
   */
  public record Rules(Optional<Tokens> tokens, Policy policy) {
    /** Refuses null. */
    public Rules {
      Objects.requireNonNull(tokens);
      Objects.requireNonNull(policy);
    }
  }

  /**
   * By {@code rules}.
   *
   * @param registry has the connections of the requests
   * @param shares learn from tokens whose connections they are
   * @param hasTls whether clients may come over TLS, and have certificates
   * @param audit is told who sends a request
   */
  public Access(
      Rules rules, ConnectionRegistry registry, Shares shares, boolean hasTls, Audit audit) {
    this.audit = audit;
    this.hasTls = hasTls;
    this.rules = rules;
    this.registry = registry;
    this.shares = shares;
  }

  /** Whether clients may have to show who they are, by a token or a certificate. */
  boolean isKnownByMoreThanTheSystem() {
    return needsToken() || hasTls;
  }

  /** Whether requests need a token; the same for ever. */
  boolean needsToken() {
    return rules.tokens.isPresent();
  }

  /**
   * Has other rules from now on, and ends the streams that would not begin by them.
   *
   * @return how many these are
   * @throws IllegalArgumentException if tokens would be needed that were not before, or the other
   *     way round
   */
  public int replace(Rules others) {
    if (others.tokens.isPresent() != needsToken()) {
      throw new IllegalArgumentException("tokens cannot become necessary, or cease to be");
    }
    rules = others;
    return registry.endUnless(Connection::isAllowed);
  }

  /**
   * Who sends a request.
   *
   * @throws HttpException 401 if a token is needed, and there is no good one
   */
  Requester identify(ServerRequest request) {
    Rules now = rules;
    Optional<String> token = now.tokens.map(tokens -> token(request));
    Optional<Claims> claims = now.tokens.map(tokens -> verify(tokens, token.get()));
    Connection connection = registry.get(request.socketId());
    connection.client().certificate().ifPresent(Access::requireValid);
    claims.ifPresent(good -> belongsTo(connection, good));
    Optional<AuditedRequest> audited = audit.isOn() ? AuditedRequest.of(request) : Optional.empty();
    audited.ifPresent(known -> claims.ifPresent(known::by));
    Rights rights = rights(now.policy, connection, claims);
    return new Requester(this, connection, token, claims, rights, audited);
  }

  /** It was when the client connected, maybe long ago. */
  private static void requireValid(X509Certificate certificate) {
    Date end = certificate.getNotAfter();
    if (end.before(new Date())) {
      HttpException e =
          unauthorized(
              "the client's certificate has expired at "
                  + end.toInstant()
                  + "; connect again with another one");
      e.header(HeaderValues.CONNECTION_CLOSE);
      throw e;
    }
  }

  private void belongsTo(Connection connection, Claims claims) {
    shares.belongsTo(connection, new Peer.TokenUser(claims.sub()));
  }

  private static Rights rights(Policy policy, Connection connection, Optional<Claims> claims) {
    if (policy.isOpen()) {
      return Rights.UNLIMITED;
    }
    Optional<PeerProcess> peer = connection.client().process();
    Caller caller =
        new Caller(
            peer.map(known -> OptionalInt.of(known.uid())).orElse(OptionalInt.empty()),
            peer.map(PeerProcess::gids).orElse(Set.of()),
            claims.map(Claims::sub),
            connection.client().certificate().map(X509Certificate::getSubjectX500Principal));
    return policy.of(caller, name(connection, claims));
  }

  /** Who it is, for people. */
  static String name(Connection connection, Optional<Claims> claims) {
    return claims
        .map(known -> "user '" + known.sub() + "'")
        .orElseGet(() -> connection.client().name());
  }

  /** What a request's sender may do by now; empty if the token is not taken any more. */
  Optional<Rights> rightsNow(
      Connection connection, Optional<String> token, Optional<Claims> claims) {
    Rules now = rules;
    try {
      if (token.isPresent() && now.tokens.isPresent()) {
        now.tokens.get().verify(token.get());
      }
      return Optional.of(rights(now.policy, connection, claims));
    } catch (InvalidTokenException e) {
      return Optional.empty();
    }
  }

  private static String token(ServerRequest request) {
    List<String> headers = request.headers().all(HeaderNames.AUTHORIZATION, List::of);
    if (headers.isEmpty()) {
      throw unauthorized("a token is required: send the header Authorization: Bearer <token>");
    }
    String header = headers.getFirst().strip();
    if (headers.size() > 1 || !header.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
      throw unauthorized("the header Authorization must be there once, as: Bearer <token>");
    }
    return header.substring(SCHEME.length()).strip();
  }

  private static Claims verify(Tokens tokens, String token) {
    try {
      return tokens.verify(token);
    } catch (InvalidTokenException e) {
      throw unauthorized(e.getMessage());
    }
  }

  /** If there is a good token, the request counts as its user's from here on. */
  void recognize(ServerRequest request, Connection connection) {
    if (needsToken() && request.headers().contains(HeaderNames.AUTHORIZATION)) {
      try {
        belongsTo(connection, verify(rules.tokens.orElseThrow(), token(request)));
      } catch (HttpException e) {
        // The route says so, if it needs one.
      }
    }
  }

  /**
   * The sender of a request to an endpoint of a group.
   *
   * @throws HttpException 401 without a good token, 403 if this one may not use the group
   */
  Requester admit(ServerRequest request, ApiGroup group) {
    Requester requester = identify(request);
    requester.require(group);
    return requester;
  }

  /** The same for an endpoint about leases, which is also for those whom all leases concern. */
  Requester admitToLeases(ServerRequest request, ApiGroup group) {
    Requester requester = identify(request);
    if (!requester.isGrantedLeaseAdmin()) {
      requester.require(group);
    }
    return requester;
  }

  /** The same for an endpoint of several groups, of which this one needs one. */
  Requester admitToAny(ServerRequest request, Set<ApiGroup> groups) {
    Requester requester = identify(request);
    if (groups.stream().noneMatch(requester::mayUse)) {
      requester.require(groups.iterator().next());
    }
    return requester;
  }

  static HttpException forbidden(String why) {
    return new HttpException(why, Status.FORBIDDEN_403, true);
  }

  private static HttpException unauthorized(String why) {
    HttpException e = new HttpException(why, Status.UNAUTHORIZED_401, true);
    e.header(HeaderValues.create(HeaderNames.WWW_AUTHENTICATE, "Bearer realm=\"zeusd\""));
    return e;
  }
}
