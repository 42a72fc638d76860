package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.GPU_CONTROL;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.settings.GpusByUuid;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseException;
import dev.zeusd.core.settings.LeaseInfo;
import dev.zeusd.core.settings.LeaseRequest;
import dev.zeusd.core.settings.LeaseRequest.OnEnd;
import dev.zeusd.core.settings.Leases;
import dev.zeusd.core.settings.Restored;
import dev.zeusd.core.settings.Setting;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.server.auth.Rights;
import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.stream.LeaseStreams;
import io.helidon.http.HeaderValues;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.time.Duration;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** Leases of settings; of the group gpu-control. */
public final class LeaseService implements AutoCloseable {
  private static final String GPU_IDS = "gpu_ids";
  private static final String KEYS = "keys";
  private static final String TTL_S = "ttl_s";
  private static final String WAIT_S = "wait_s";
  private static final String ON_END = "on_end";
  private static final String LEASE_ID = "lease_id";
  private static final long MAX_WAIT_S = 3600;

  private final Node node;
  private final Shares shares;
  private final LeaseStreams streams;
  private final DevicesById<Gpu> gpus;

  /** Leases of {@code node}, of which at most {@code maxStreams} are kept by streams. */
  public LeaseService(Node node, Shares shares, int maxStreams) {
    this.node = node;
    this.shares = shares;
    this.streams = new LeaseStreams(shares, maxStreams);
    this.gpus = DevicesById.gpus(node);
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.post(GPU_CONTROL, "/lease", this::take);
    routes.post(GPU_CONTROL, "/lease/renew", this::renew);
    routes.get(GPU_CONTROL, "/lease/hold", this::hold);
    routes.postOfLeases(GPU_CONTROL, "/lease/end", this::end);
    routes.getOfLeases(GPU_CONTROL, "/leases", this::list);
  }

  private void take(ServerRequest request, ServerResponse response, Requester requester) {
    Query query = Query.of(request, Set.of(GPU_IDS, KEYS, TTL_S, WAIT_S, ON_END));
    Collection<Integer> ids = query.ids(GPU_IDS, gpus.ids());
    requester.audited().ifPresent(audited -> audited.about(ids));
    Set<SettingKey> keys = keys(query);
    Duration ttl = query.seconds(TTL_S, 1, LeaseRequest.MAX_TTL.toSeconds());
    Duration patience =
        query.optional(WAIT_S).isPresent() ? query.seconds(WAIT_S, 0, MAX_WAIT_S) : Duration.ZERO;
    OnEnd onEnd = query.optional(ON_END).map(text -> onEnd(query, text)).orElse(OnEnd.RESTORE);
    requester.requireSettings(gpus.gpuInfos(ids), keys);
    Leases leases = node.leases();
    List<Setting> settings = leases.settings(ids, keys);
    Lease lease;
    try {
      LeaseRequest how = new LeaseRequest(requester.name(), ttl, patience, onEnd);
      requester.onlyWhile(
          rights ->
              gpus.gpuInfos(ids).stream().allMatch(gpu -> rights.refusalOf(gpu, keys).isEmpty()));
      lease = take(requester.connection(), response, settings, how);
    } catch (LeaseException.Held e) {
      ErrorMapper.send(request, response, Status.CONFLICT_409, LeaseJson.held(e));
      return;
    }
    requester.audited().ifPresent(audited -> audited.about(lease));
    response.status(Status.CREATED_201);
    try {
      Routes.sendJson(request, response, json().taken(lease, leases.isCrashSafe()));
    } catch (RuntimeException e) {
      // The client has left while it waited: others need not wait for it.
      lease.close();
      throw e;
    }
  }

  private Lease take(
      Connection connection, ServerResponse response, List<Setting> settings, LeaseRequest how) {
    if (how.patience().isZero()) {
      return node.leases().take(settings, how);
    }
    // Like a stream, it may take longer than other answers do.
    response.header(HeaderValues.CONNECTION_CLOSE);
    shares.openStream(connection);
    try {
      return WaitingClient.serve(connection, () -> node.leases().take(settings, how));
    } finally {
      shares.closeStream(connection);
    }
  }

  private static Set<SettingKey> keys(Query query) {
    Set<SettingKey> keys = EnumSet.noneOf(SettingKey.class);
    for (String name : query.required(KEYS).split(",", -1)) {
      Optional<SettingKey> key = SettingKey.of(name.strip());
      if (key.isEmpty()) {
        throw query.malformed(KEYS, "is not a comma-separated list of " + SettingKey.wireNames());
      }
      keys.add(key.get());
    }
    return keys;
  }

  private static OnEnd onEnd(Query query, String text) {
    return switch (text) {
      case "restore" -> OnEnd.RESTORE;
      case "keep" -> OnEnd.KEEP;
      default -> throw query.malformed(ON_END, "is not restore or keep");
    };
  }

  private Lease wanted(ServerRequest request, Requester requester) {
    Lease lease = node.leases().find(Query.of(request, Set.of(LEASE_ID)).required(LEASE_ID));
    requester.audited().ifPresent(audited -> audited.about(lease));
    return lease;
  }

  private void renew(ServerRequest request, ServerResponse response, Requester requester) {
    Lease lease = wanted(request, requester);
    refuseToKeep(lease, requester);
    lease.renew();
    Routes.sendJson(request, response, LeaseJson.renewed(lease));
  }

  private void hold(ServerRequest request, ServerResponse response, Requester requester) {
    requester.audited().ifPresent(AuditedRequest::changesSomething);
    Lease lease = wanted(request, requester);
    refuseToKeep(lease, requester);
    streams.keep(
        request, response, requester, lease, rights -> whyNotKeep(lease, rights).isEmpty());
  }

  private void refuseToKeep(Lease lease, Requester requester) {
    whyNotKeep(lease, requester.rights())
        .ifPresent(
            why -> {
              throw Access.forbidden(why);
            });
  }

  /**
   * Who may change nothing any more of a GPU that the lease holds does not keep it from others. Not
   * all of its settings are needed: it may have been taken by somebody who may do more.
   */
  private Optional<String> whyNotKeep(Lease lease, Rights rights) {
    GpusByUuid present = new GpusByUuid(node.gpus());
    Map<String, List<Setting>> byGpu =
        lease.settings().stream().collect(Collectors.groupingBy(Setting::gpuUuid));
    for (List<Setting> settings : byGpu.values()) {
      Optional<GpuInfo> gpu =
          present.find(settings.getFirst().gpuUuid()).map(found -> found.device().info());
      List<String> refusals =
          settings.stream()
              .flatMap(setting -> gpu.flatMap(info -> refusal(rights, info, setting)).stream())
              .toList();
      if (refusals.size() == settings.size()) {
        return Optional.of(refusals.getFirst());
      }
    }
    return Optional.empty();
  }

  private static Optional<String> refusal(Rights rights, GpuInfo gpu, Setting setting) {
    return rights.refusalOf(gpu, Set.of(setting.key()));
  }

  private void end(ServerRequest request, ServerResponse response, Requester requester) {
    Lease lease = wanted(request, requester);
    Map<Setting, Restored> results = lease.end();
    Routes.sendJson(request, response, json().ended(lease, results));
  }

  private void list(ServerRequest request, ServerResponse response, Requester requester) {
    Query.of(request, Set.of());
    boolean isAdmin = requester.isLeaseAdmin();
    String name = requester.name();
    Predicate<LeaseInfo> isShown = info -> isAdmin || info.holder().equals(name);
    List<LeaseInfo> infos = node.leases().list().stream().filter(isShown).toList();
    Routes.sendJson(request, response, json().list(infos));
  }

  private LeaseJson json() {
    return new LeaseJson(new GpusByUuid(node.gpus()));
  }

  /** Ends all streams; the leases go on for their TTL. */
  @Override
  public void close() {
    streams.close();
  }
}
