package dev.zeusd.server;

import dev.zeusd.server.audit.AuditLog;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.tls.TlsCredentials;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * How the server serves a node.
 *
 * @param listens where: at one or more places, those that speak TLS with the same credentials
 * @param groups which endpoints
 * @param streamFormat the dialect of streams that do not ask for one
 * @param tokens what checks the tokens of requests; without it everybody may do everything
 * @param policy who may do what of all that
 * @param limits how much clients may take
 * @param web what web pages may do
 * @param auditLog what is told who has changed what; not closed by the server
 * @param restoresOnProcessExit whether what a process sets without a lease is put back when it
 *     ends; on a Unix socket only, and only if the JVM was started with {@code --add-exports
 *     java.base/sun.nio.ch=ALL-UNNAMED}
 */
public record ServerConfig(
    List<Listen> listens,
    Set<ApiGroup> groups,
    StreamFormat streamFormat,
    Optional<Tokens> tokens,
    Policy policy,
    Limits limits,
    WebAccess web,
    Optional<AuditLog> auditLog,
    boolean restoresOnProcessExit) {
  /**
   * Takes copies.
   *
   * @throws IllegalArgumentException for no place, or if it is only TCP where processes matter
   */
  public ServerConfig {
    listens = List.copyOf(listens);
    if (listens.isEmpty()) {
      throw new IllegalArgumentException("nowhere to listen");
    }
    Objects.requireNonNull(streamFormat);
    Objects.requireNonNull(tokens);
    Objects.requireNonNull(policy);
    Objects.requireNonNull(limits);
    Objects.requireNonNull(web);
    Objects.requireNonNull(auditLog);
    groups = Set.copyOf(groups);
    if (restoresOnProcessExit && listens.stream().noneMatch(Listen.UnixSocket.class::isInstance)) {
      throw new IllegalArgumentException("nobody knows the processes at the other end of TCP");
    }
  }

  /**
   * Without grants, with the default limits, and no web pages but the daemon's own.
   *
   * @param listen where to listen
   * @param groups the endpoints that there are
   * @param streamFormat what streams are like unless a client asks for another form
   * @param tokens by which requests are let in; empty: none is needed
   */
  public ServerConfig(
      Listen listen, Set<ApiGroup> groups, StreamFormat streamFormat, Optional<Tokens> tokens) {
    this(
        List.of(listen),
        groups,
        streamFormat,
        tokens,
        Policy.OPEN,
        Limits.defaults(),
        WebAccess.NONE,
        Optional.empty(),
        false);
  }

  /**
   * {@return a configuration of all endpoints in the default dialect, for everybody who can
   * connect}
   *
   * @param listen where to listen
   */
  public static ServerConfig of(Listen listen) {
    return new ServerConfig(
        listen, EnumSet.allOf(ApiGroup.class), StreamFormat.SAMPLE, Optional.empty());
  }

  /**
   * {@return the same for every program on this machine, at a TCP port of 127.0.0.1} Whoever is not
   * to have them all needs tokens, grants, or a Unix socket.
   *
   * @param port the port; 0 lets the system choose one
   */
  public static ServerConfig loopback(int port) {
    return of(new Listen.Tcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), port)));
  }

  /** {@return what TLS begins with, where it is spoken} */
  public Optional<TlsCredentials> tls() {
    return listens.stream()
        .filter(Listen.Tcp.class::isInstance)
        .flatMap(listen -> ((Listen.Tcp) listen).tls().stream())
        .findFirst();
  }

  /**
   * {@return the same, listening at these places}
   *
   * @param others at least one
   */
  public ServerConfig withListens(List<Listen> others) {
    return new ServerConfig(
        others, groups, streamFormat, tokens, policy, limits, web, auditLog, restoresOnProcessExit);
  }

  /**
   * {@return the same with other grants}
   *
   * @param others who may do what
   */
  public ServerConfig withPolicy(Policy others) {
    return new ServerConfig(
        listens,
        groups,
        streamFormat,
        tokens,
        others,
        limits,
        web,
        auditLog,
        restoresOnProcessExit);
  }

  /**
   * {@return the same with other limits}
   *
   * @param others how much there is of what clients share
   */
  public ServerConfig withLimits(Limits others) {
    return new ServerConfig(
        listens,
        groups,
        streamFormat,
        tokens,
        policy,
        others,
        web,
        auditLog,
        restoresOnProcessExit);
  }

  /**
   * {@return the same with other web pages}
   *
   * @param others the pages that may ask
   */
  public ServerConfig withWeb(WebAccess others) {
    return new ServerConfig(
        listens,
        groups,
        streamFormat,
        tokens,
        policy,
        limits,
        others,
        auditLog,
        restoresOnProcessExit);
  }

  /**
   * {@return the same with an audit log}
   *
   * @param log where writes and refusals are told; empty: nowhere
   */
  public ServerConfig withAuditLog(Optional<AuditLog> log) {
    return new ServerConfig(
        listens, groups, streamFormat, tokens, policy, limits, web, log, restoresOnProcessExit);
  }

  /** {@return the same, where what a process sets without a lease is put back when it ends} */
  public ServerConfig withRestoreOnProcessExit() {
    return new ServerConfig(
        listens, groups, streamFormat, tokens, policy, limits, web, auditLog, true);
  }
}
