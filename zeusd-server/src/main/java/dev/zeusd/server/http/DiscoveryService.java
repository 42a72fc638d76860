package dev.zeusd.server.http;

import dev.zeusd.core.Node;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Claims;
import java.util.Optional;
import java.util.Set;

/** What is there, the time, and who a token belongs to; no group has to be enabled for these. */
public final class DiscoveryService {
  private final byte[] discovery;
  private final Optional<AuthFilter> auth;

  /** Describes the devices of {@code node} as they are now. */
  public DiscoveryService(Node node, Set<ApiGroup> groups, Optional<AuthFilter> auth) {
    this.auth = auth;
    this.discovery =
        WireJson.discovery(
            node.gpus().stream().map(worker -> worker.device().info()).toList(),
            node.cpus().stream().map(worker -> worker.device().info()).toList(),
            groups,
            auth.isPresent());
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.get(
        "/discover",
        (request, response) -> {
          Query.of(request, Set.of());
          Routes.sendJson(response, discovery);
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
