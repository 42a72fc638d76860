package dev.zeusd.server.auth;

import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * What a token says.
 *
 * @param sub the user
 * @param scopes names of API groups and {@link #LEASE_ADMIN}, those that this version does not know
 *     included
 * @param exp when the token ends, in whole seconds; a token without it does not
 * @param jti the token's own name, by which it can be revoked
 */
public record Claims(String sub, List<String> scopes, Optional<Instant> exp, Optional<String> jti) {
  /** The scope of those whom everybody's leases concern: they see them all, and may end any. */
  public static final String LEASE_ADMIN = "lease-admin";

  /** Takes a copy of the list. */
  public Claims {
    Objects.requireNonNull(sub);
    Objects.requireNonNull(exp);
    Objects.requireNonNull(jti);
    scopes = List.copyOf(scopes);
  }

  /**
   * Of a token that has no name, or is to get one when it is issued.
   *
   * @param sub the user
   * @param scopes what the token allows
   * @param exp until when, in seconds since 1970; empty: for ever
   */
  public Claims(String sub, List<String> scopes, Optional<Instant> exp) {
    this(sub, scopes, exp, Optional.empty());
  }
}
