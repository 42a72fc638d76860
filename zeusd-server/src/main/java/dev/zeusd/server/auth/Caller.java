package dev.zeusd.server.auth;

import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import javax.security.auth.x500.X500Principal;

/**
 * Who sends a request, by all that vouches for it.
 *
 * @param uid the user at the other end of the Unix socket; empty on TCP
 * @param gids that user's groups, those of its process
 * @param tokenSubject whom the token names, if there is a good one
 * @param certificateSubject whom the client's certificate names, if one was asked for
 */
public record Caller(
    OptionalInt uid,
    Set<Integer> gids,
    Optional<String> tokenSubject,
    Optional<X500Principal> certificateSubject) {
  /** Takes a copy of the set. */
  public Caller {
    Objects.requireNonNull(uid);
    Objects.requireNonNull(tokenSubject);
    Objects.requireNonNull(certificateSubject);
    gids = Set.copyOf(gids);
  }
}
