package dev.zeusd.server;

import dev.zeusd.core.Node;
import dev.zeusd.core.settings.ClientProcess;
import dev.zeusd.ffm.posix.Umask;
import dev.zeusd.server.audit.AuditLog;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.connection.ConnectionRegistry;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.connection.TlsChannel;
import dev.zeusd.server.http.Access;
import dev.zeusd.server.http.Audit;
import dev.zeusd.server.http.CpuReadService;
import dev.zeusd.server.http.DiscoveryService;
import dev.zeusd.server.http.EnergyService;
import dev.zeusd.server.http.GpuControlService;
import dev.zeusd.server.http.GpuReadService;
import dev.zeusd.server.http.HistoryService;
import dev.zeusd.server.http.LeaseService;
import dev.zeusd.server.http.LivePage;
import dev.zeusd.server.http.MetricsService;
import dev.zeusd.server.http.RequestFilter;
import dev.zeusd.server.http.Routes;
import dev.zeusd.server.http.SettingRights;
import dev.zeusd.server.http.WebPages;
import dev.zeusd.server.metrics.Metrics;
import dev.zeusd.server.stream.PowerStreams;
import dev.zeusd.server.tls.TlsCredentials;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.concurrent.atomic.AtomicReference;

/**
 * The HTTP server for one {@link Node}, which it does not own.
 *
 * <p>Thread-safe. Requests run on virtual threads.
 */
public final class ZeusdServer implements AutoCloseable {
  private final List<Listener> listeners = new ArrayList<>();
  private final AtomicReference<TlsCredentials> tls;
  private final Routes routes;
  private final PowerStreams streams;
  private final LeaseService leases;
  private final ConnectionRegistry registry;
  private final Access access;
  private final Audit audit;

  /**
   * Loads what every server needs, which takes most of the time of a first {@link #start}. It need
   * not be called; a program in a hurry does while its node is opened.
   *
   * @param listens where to listen
   */
  public static void prepare(List<Listen> listens) {
    if (listens.stream().anyMatch(Listen.UnixSocket.class::isInstance)) {
      Umask.link();
    }
    Listener.prepare();
  }

  /**
   * Starts listening; returns when clients can connect.
   *
   * @param node whose devices are served; it is not closed with the server
   * @param config where to listen, and who may do what
   * @return the server; clients can connect
   * @throws ServerStartException if it cannot listen where {@code config} says
   */
  public static ZeusdServer start(Node node, ServerConfig config) {
    if (config.restoresOnProcessExit()) {
      requireKnownProcesses();
    }
    return new ZeusdServer(node, config);
  }

  private static void requireKnownProcesses() {
    Optional<String> problem = ClientProcess.whyUnknown();
    if (problem.isPresent()) {
      throw new ServerStartException(
          "--restore-on process-exit cannot be done here: " + problem.get());
    }
  }

  private ZeusdServer(Node node, ServerConfig config) {
    Limits limits = config.limits().withinMeans(config.tls().isPresent());
    tls = new AtomicReference<>(config.tls().orElse(null));
    Shares shares = new Shares(limits, config.tokens().isPresent(), this::asksForCertificates);
    registry = new ConnectionRegistry(limits, shares);
    streams = new PowerStreams(node, config.streamFormat(), shares);
    Access.Rules rules = new Access.Rules(config.tokens(), config.policy());
    audit = new Audit(node, config.auditLog());
    access = new Access(rules, registry, shares, config.tls().isPresent(), audit);
    WebPages webPages = new WebPages(config.web(), config.tokens().isEmpty());
    routes =
        new Routes(
            config.groups(), access, audit, new RequestFilter(registry, access, audit), webPages);
    new DiscoveryService(node, config.groups(), access).addTo(routes);
    new GpuReadService(node).addTo(routes);
    SettingRights rights = new SettingRights(config.restoresOnProcessExit());
    new GpuControlService(node, shares, rights).addTo(routes);
    leases = new LeaseService(node, shares, limits.leaseStreams());
    leases.addTo(routes);
    boolean hasLeases = config.groups().contains(ApiGroup.GPU_CONTROL);
    if (hasLeases) {
      node.observeLeases(audit);
      // What an earlier daemon has left is put back, whether anybody asks or not.
      node.leases();
    }
    new CpuReadService(node).addTo(routes);
    new EnergyService(node).addTo(routes);
    new HistoryService(node).addTo(routes);
    new LivePage().addTo(routes);
    // What an earlier daemon was measuring goes on, whether anybody asks or not.
    node.resumeEnergyWindows();
    streams.addTo(routes);
    Metrics metrics = new Metrics(node, routes.requests(), shares::openStreams, hasLeases);
    new MetricsService(metrics).addTo(routes);
    Listener.Service service = new Listener.Service(routes.finish(), registry, shares, limits, tls);
    try {
      config.listens().forEach(listen -> listeners.add(Listener.open(listen, service)));
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private boolean asksForCertificates() {
    TlsCredentials credentials = tls.get();
    return credentials != null && credentials.asksClients();
  }

  /**
   * Has other tokens and grants from now on. Requests that are under way go on by the earlier ones;
   * streams that would not be allowed by these end.
   *
   * @param tokens by which requests are let in; empty: none is needed
   * @param policy who may do what
   * @return how many these are
   * @throws IllegalArgumentException if tokens would be needed that were not before, or the other
   *     way round
   */
  public int replaceAccess(Optional<Tokens> tokens, Policy policy) {
    return access.replace(new Access.Rules(tokens, policy));
  }

  /**
   * Has other credentials of TLS from now on, where that is spoken. Connections go on with theirs,
   * but for those whose clients would not be let in now.
   *
   * @param credentials for new connections
   * @return how many ended
   */
  public int replaceTls(TlsCredentials credentials) {
    tls.set(credentials);
    return registry.endUnless(
        connection ->
            connection
                .client()
                .tls()
                .map(TlsChannel::clientChain)
                .map(credentials::letsIn)
                .orElse(true));
  }

  /**
   * {@return the TCP port it listens at, as the system gave it; -1 for a Unix socket}
   *
   * @param listen one of those that the server was started with
   */
  public int port(Listen listen) {
    return listeners.stream()
        .filter(listener -> listener.listen().equals(listen))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("does not listen at " + listen))
        .port();
  }

  /**
   * Has another audit log told from now on, or none.
   *
   * @param log in place of the one that there is
   */
  public void replaceAuditLog(Optional<AuditLog> log) {
    audit.replace(log);
  }

  /**
   * Has the audit log told that the administrator has changed something.
   *
   * @param changes in words
   */
  public void auditReload(String changes) {
    audit.reloaded(changes);
  }

  /** {@return the TCP port of the first place where it listens; -1 for a Unix socket} */
  public int port() {
    return listeners.getFirst().port();
  }

  /** The method of each path that it answers, but for HEAD and OPTIONS. */
  SortedMap<String, String> endpoints() {
    return routes.methods();
  }

  /** Ends all streams and connections and removes the socket file. Idempotent. */
  @Override
  public void close() {
    streams.close();
    leases.close();
    registry.sayGoodbye();
    listeners.forEach(Listener::close);
    registry.stopWatch();
  }
}
