package dev.zeusd.server.http;

import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.Rights;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.connection.Connection;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import java.time.Instant;
import java.util.Collection;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/** Who sends a request, and what that one may do by the rules that were in force when it came. */
public final class Requester {
  private final Access access;
  private final Connection connection;
  private final Optional<String> token;
  private final Optional<Claims> claims;
  private final Rights rights;
  private final Optional<AuditedRequest> audited;

  Requester(
      Access access,
      Connection connection,
      Optional<String> token,
      Optional<Claims> claims,
      Rights rights,
      Optional<AuditedRequest> audited) {
    this.audited = audited;
    this.access = access;
    this.connection = connection;
    this.token = token;
    this.claims = claims;
    this.rights = rights;
  }

  /** For people: the token's user, or who is at the other end of the connection. */
  String name() {
    return Access.name(connection, claims);
  }

  /** That on which the request has come. */
  public Connection connection() {
    return connection;
  }

  /** Whom the client's certificate names, if it was asked for one. */
  Optional<String> certificateSubject() {
    return connection
        .client()
        .certificate()
        .map(certificate -> certificate.getSubjectX500Principal().getName());
  }

  /** What the token says, where one is needed. */
  Optional<Claims> claims() {
    return claims;
  }

  /** What the audit log is told of the request, if there is one. */
  Optional<AuditedRequest> audited() {
    return audited;
  }

  /** Has the audit log told of an answer that Helidon does not send, before it is sent. */
  public void auditAnswer(Status status) {
    audited.ifPresent(each -> each.answered(status));
  }

  /** What this one may do. */
  Rights rights() {
    return rights;
  }

  /** When a lasting answer has to end because token or certificate do, by the wall clock. */
  public Instant acceptedUntil() {
    Instant byToken = claims.map(Tokens::acceptedUntil).orElse(Instant.MAX);
    return connection
        .client()
        .certificate()
        .map(certificate -> certificate.getNotAfter().toInstant())
        .filter(byToken::isAfter)
        .orElse(byToken);
  }

  /** Whether an endpoint of a group may be used, the token's scopes included. */
  boolean mayUse(ApiGroup group) {
    return hasScope(group.wireName()) && rights.refusalOf(group).isEmpty();
  }

  private boolean hasScope(String scope) {
    return claims.isEmpty() || claims.get().scopes().contains(scope);
  }

  /** Throws 403 unless an endpoint of a group may be used. */
  void require(ApiGroup group) {
    if (!hasScope(group.wireName())) {
      Claims own = claims.orElseThrow();
      throw Access.forbidden(
          "user '%s' needs the scope %s; the token has %s"
              .formatted(
                  own.sub(),
                  group.wireName(),
                  own.scopes().isEmpty() ? "none" : String.join(", ", own.scopes())));
    }
    refuseIf(rights.refusalOf(group));
  }

  /** Throws 403 unless an endpoint of a group may be used for all of these GPUs. */
  void require(ApiGroup group, Collection<GpuInfo> gpus) {
    refuseIf(rights.refusalOf(group, gpus));
  }

  /** Throws 403 unless this one may take these settings of all of these GPUs for itself. */
  void requireSettings(Collection<GpuInfo> gpus, Set<SettingKey> keys) {
    gpus.forEach(gpu -> refuseIf(rights.refusalOf(gpu, keys)));
  }

  /** Throws 403 unless all of these GPUs may be set to this. */
  void requireValue(Collection<GpuInfo> gpus, SettingValue value) {
    gpus.forEach(gpu -> refuseIf(rights.refusalOf(gpu, value)));
  }

  /** Throws 403 unless this one may do what concerns all GPUs at once. */
  void requireAllGpus(ApiGroup group, String what) {
    refuseIf(rights.refusalOfAllGpus(group, what));
  }

  private static void refuseIf(Optional<String> refusal) {
    refusal.ifPresent(
        why -> {
          throw Access.forbidden(why);
        });
  }

  /**
   * Whether everybody's leases are this one's business by what is said of it: by its grants, where
   * there are any, and by the scope of its token, where one is needed.
   */
  boolean isGrantedLeaseAdmin() {
    return rights.isUnlimited()
        ? claims.filter(known -> known.scopes().contains(Claims.LEASE_ADMIN)).isPresent()
        : rights.isLeaseAdmin() && hasScope(Claims.LEASE_ADMIN);
  }

  /** Whether everybody's leases are this one's business; those of root on the socket are. */
  boolean isLeaseAdmin() {
    return isGrantedLeaseAdmin()
        || connection.client().process().filter(process -> process.uid() == 0).isPresent();
  }

  /**
   * Has the connection end as soon as the rules do not allow this any more; for answers that last.
   *
   * @param isAllowed what the answer needs
   * @throws HttpException 403 if they have changed since the request came
   */
  public void onlyWhile(Predicate<Rights> isAllowed) {
    boolean isStillAllowed =
        connection.onlyWhile(
            () -> access.rightsNow(connection, token, claims).filter(isAllowed).isPresent());
    if (!isStillAllowed) {
      throw Access.forbidden("what " + name() + " may do has changed this moment; ask again");
    }
  }
}
