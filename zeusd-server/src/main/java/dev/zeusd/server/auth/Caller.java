package dev.zeusd.server.auth;

import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Who sends a request, by all that vouches for it.
 *
 * @param uid the user at the other end of the Unix socket; empty on TCP
 * @param gids that user's groups, those of its process
 * @param tokenSubject whom the token names, if there is a good one
 */
public record Caller(OptionalInt uid, Set<Integer> gids, Optional<String> tokenSubject) {
  /** Takes a copy of the set. */
  public Caller {
    Objects.requireNonNull(uid);
    Objects.requireNonNull(tokenSubject);
    gids = Set.copyOf(gids);
  }
}
