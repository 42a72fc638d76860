package dev.zeusd.server;

import dev.zeusd.server.auth.Policy;
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
 * @param policy who may do what of all that
 * @param limits how much clients may take
 * @param web what web pages may do
 * @param restoresOnProcessExit whether what a process sets without a lease is put back when it
 *     ends; on a Unix socket only, and only if the JVM was started with {@code --add-exports
 *     java.base/sun.nio.ch=ALL-UNNAMED}
 */
public record ServerConfig(
    Listen listen,
    Set<ApiGroup> groups,
    StreamFormat streamFormat,
    Optional<Tokens> tokens,
    Policy policy,
    Limits limits,
    WebAccess web,
    boolean restoresOnProcessExit) {
  /**
   * Takes a copy of the set.
   *
   * @throws IllegalArgumentException for processes at the other end of TCP
   */
  public ServerConfig {
    Objects.requireNonNull(listen);
    Objects.requireNonNull(streamFormat);
    Objects.requireNonNull(tokens);
    Objects.requireNonNull(policy);
    Objects.requireNonNull(limits);
    Objects.requireNonNull(web);
    groups = Set.copyOf(groups);
    if (restoresOnProcessExit && !(listen instanceof Listen.UnixSocket)) {
      throw new IllegalArgumentException("nobody knows the processes at the other end of TCP");
    }
  }

  /** Without grants, with the default limits, and no web pages but the daemon's own. */
  public ServerConfig(
      Listen listen, Set<ApiGroup> groups, StreamFormat streamFormat, Optional<Tokens> tokens) {
    this(
        listen,
        groups,
        streamFormat,
        tokens,
        Policy.OPEN,
        Limits.defaults(),
        WebAccess.NONE,
        false);
  }

  /** The same with other grants. */
  public ServerConfig withPolicy(Policy others) {
    return new ServerConfig(
        listen, groups, streamFormat, tokens, others, limits, web, restoresOnProcessExit);
  }

  /** The same with other limits. */
  public ServerConfig withLimits(Limits others) {
    return new ServerConfig(
        listen, groups, streamFormat, tokens, policy, others, web, restoresOnProcessExit);
  }

  /** The same with other web pages. */
  public ServerConfig withWeb(WebAccess others) {
    return new ServerConfig(
        listen, groups, streamFormat, tokens, policy, limits, others, restoresOnProcessExit);
  }

  /** The same, where what a process sets without a lease is put back when it ends. */
  public ServerConfig withRestoreOnProcessExit() {
    return new ServerConfig(listen, groups, streamFormat, tokens, policy, limits, web, true);
  }
}
