package dev.zeusd.server;

import dev.zeusd.server.auth.Tokens;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * How the server serves a node.
 *
 * @param listen where
 * @param groups which endpoints
 * @param streamFormat the dialect of streams that do not ask for one
 * @param tokens what checks the tokens of requests; without it everybody may do everything
 * @param limits how much clients may take
 * @param web what web pages may do
 */
public record ServerConfig(
    Listen listen,
    Set<ApiGroup> groups,
    StreamFormat streamFormat,
    Optional<Tokens> tokens,
    Limits limits,
    WebAccess web) {
  /** Takes a copy of the set. */
  public ServerConfig {
    Objects.requireNonNull(listen);
    Objects.requireNonNull(streamFormat);
    Objects.requireNonNull(tokens);
    Objects.requireNonNull(limits);
    Objects.requireNonNull(web);
    groups = Set.copyOf(groups);
  }

  /** With the default limits, and no web pages but the daemon's own. */
  public ServerConfig(
      Listen listen, Set<ApiGroup> groups, StreamFormat streamFormat, Optional<Tokens> tokens) {
    this(listen, groups, streamFormat, tokens, Limits.defaults(), WebAccess.NONE);
  }

  /** The same with other limits. */
  public ServerConfig withLimits(Limits others) {
    return new ServerConfig(listen, groups, streamFormat, tokens, others, web);
  }

  /** The same with other web pages. */
  public ServerConfig withWeb(WebAccess others) {
    return new ServerConfig(listen, groups, streamFormat, tokens, limits, others);
  }
}
