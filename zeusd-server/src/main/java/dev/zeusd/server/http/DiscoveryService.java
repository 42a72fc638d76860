package dev.zeusd.server.http;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Claims;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** What is there, the time, and who a token belongs to; no group has to be enabled for these. */
public final class DiscoveryService {
  private final Node node;
  private final Set<ApiGroup> groups;
  private final Optional<AuthFilter> auth;
  private volatile Discovery prepared;

  /** Describes the devices of {@code node}. */
  public DiscoveryService(Node node, Set<ApiGroup> groups, Optional<AuthFilter> auth) {
    this.node = node;
    this.groups = groups;
    this.auth = auth;
    this.prepared = discovery(gpus());
  }

  private record Discovery(List<GpuInfo> gpus, byte[] json) {}

  /** Prepared but for a GPU that did not answer at the start and is known by now. */
  private byte[] discovery() {
    List<GpuInfo> gpus = gpus();
    Discovery answer = prepared;
    if (!answer.gpus.equals(gpus)) {
      answer = discovery(gpus);
      prepared = answer;
    }
    return answer.json;
  }

  private List<GpuInfo> gpus() {
    return node.gpus().stream().map(worker -> worker.device().info()).toList();
  }

  private Discovery discovery(List<GpuInfo> gpus) {
    List<CpuInfo> cpus = node.cpus().stream().map(worker -> worker.device().info()).toList();
    return new Discovery(gpus, WireJson.discovery(gpus, cpus, groups, auth.isPresent()));
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.get(
        "/discover",
        (request, response) -> {
          Query.of(request, Set.of());
          Routes.sendJson(response, discovery());
        });
    routes.get(
        "/time",
        (request, response) -> {
          Query.of(request, Set.of());
          Routes.sendJson(response, WireJson.time(System.currentTimeMillis()));
        });
    auth.ifPresent(
        filter ->
            routes.get(
                "/auth/whoami",
                (request, response) -> {
                  Claims claims = filter.authenticate(request);
                  Query.of(request, Set.of());
                  Routes.sendJson(response, WireJson.claims(claims));
                }));
  }
}
